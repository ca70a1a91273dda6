"""Tables and figures of the paper from the command line, on a tiny shop."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from beamwise.experiments import comparison_runner
from beamwise.testing.tiny_run import tiny_data, tiny_paper_settings
from beamwise.training.checkpoint import read_progress

SLICE = 4
"""Looks at the clock of the test, a second each, that a budget allows."""
KILLED = """
import os, signal, sys
from beamwise.cli.app import main
from beamwise.experiments import comparison_runner

def killed(config, progress):
    def tell(step):
        progress(step)
        if step["step"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return train(config, tell)

train, comparison_runner.train = comparison_runner.train, killed
sys.exit(main(sys.argv[1:]))
"""
"""The command line, whose first training dies after its third step."""


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A tiny shop in a folder of the paper's name."""
    return tiny_data(tmp_path_factory.mktemp("data") / "office")


@pytest.fixture
def paper(beamwise, office):
    """Experiments of the small TIGER on it."""

    def call(experiments, store, *arguments, methods="ce,apao-pointwise", seeds=2):
        return beamwise(*command(experiments, office, store, methods, seeds), *arguments)

    return call


def command(experiments, office, store, methods="ce,apao-pointwise", seeds=2):
    settings = [part for text in tiny_paper_settings() for part in ("--set", text)]
    return [
        "reproduce", experiments, "--dataset", "office", "--backbone", "tiger", "--size", "small",
        "--data", str(office), "--out", str(store), "--methods", methods, "--seeds", str(seeds),
        *settings,
    ]  # fmt: skip


def steps(epochs, checkpoint_steps):
    """Trainings of several epochs, saved often."""
    settings = {"epochs": epochs, "checkpoint_steps": checkpoint_steps}
    return [f"--set=settings.training.{name}={value}" for name, value in settings.items()]


def unfinished(store):
    """Trainings that were cut off between their first and their last step."""
    progress = [read_progress(path) for path in store.rglob("checkpoint")]
    return [each for each in progress if each.get("steps") and not each["finished"]]


def results(store):
    """What sections say, without the times that no two runs share."""
    found = {}
    for path in sorted(store.rglob("*.json")):
        if path.name in ("table1.json", "table2.json", "figure4.json"):
            content = json.loads(path.read_text())
            content["charts"] = [each for each in content["charts"] if each["name"] != "time"]
            for table in content["tables"]:
                names = [column["name"] for column in table["columns"]]
                kept = [place for place, name in enumerate(names) if not name.startswith("ms ")]
                table["rows"] = [[row[place] for place in kept] for row in table["rows"]]
            found[path.name] = content
    return found


def test_the_whole_chain_is_planned_cut_off_and_resumed_to_the_same_results(
    paper, beamwise, tmp_path, monkeypatch
):
    experiments, whole, cut = "table2,table1,figure4", tmp_path / "whole", tmp_path / "cut"
    often = [*steps(epochs=3, checkpoint_steps=1), "--set=survival_of=[ce]"]
    planned = paper(experiments, cut, "--plan", *often)
    assert planned.status == 0
    assert planned.err.count("0 of 4 runs are done; left: ") == 2
    assert not list(cut.rglob("seed-*"))
    with monkeypatch.context() as patch:
        clock = itertools.count()
        patch.setattr(comparison_runner, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        statuses, cut_off = [], 0
        while len(statuses) < 40 and (not statuses or statuses[-1] != 0):
            statuses.append(paper(experiments, cut, "--budget", f"{SLICE}s", *often).status)
            cut_off += bool(unfinished(cut))
    assert set(statuses[:-1]) == {3}
    assert statuses[-1] == 0
    assert cut_off >= 3  # training itself was stopped, and more than once
    finished = paper(experiments, whole, *often)
    assert finished.status == 0
    assert results(cut) == results(whole)
    assert set(results(whole)) == {"table1.json", "table2.json", "figure4.json"}
    page = (cut / "report.html").read_text()
    assert page.count("<h2 id=") == 3
    assert "ce finds R@20" in finished.out
    # What is there is rendered again from the sections alone.
    kept = tmp_path / "kept"
    for path in cut.rglob("*.json"):
        if path.name in results(cut):
            place = kept / path.relative_to(cut)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    assert beamwise("reproduce", "report", "--out", kept).status == 0
    assert (kept / "report.html").read_text() == page
    assert (kept / "office-tiger-small" / "table1-beside-the-paper.csv").is_file()
    # A store whose results another configuration made is refused, and nothing is lost.
    other = paper("table1", cut, *often, "--set", "settings.training.batch_size=64")
    assert other.status == 2
    assert "holds a run with other settings (training)" in other.err
    assert (cut / "office-tiger-small" / "table1.json").is_file()


def test_a_killed_run_is_resumed_to_the_same_results(paper, office, tmp_path):
    killed, whole, often = tmp_path / "killed", tmp_path / "whole", steps(2, checkpoint_steps=2)
    words = [*command("table1", office, killed, "ce", 1), *often]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words], env={**os.environ, **threads}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (progress,) = unfinished(killed)
    assert progress["steps"] == 2  # the third step is lost
    for store in (killed, whole):
        assert paper("table1", store, *often, methods="ce", seeds=1).status == 0
    found = [results(store)["table1.json"] for store in (killed, whole)]
    for content in found:
        content.pop("made_by")  # a process tells of the code as it is when it begins
    assert found[0] == found[1]
    logs = [
        (store / "office-tiger-small" / "ce" / "seed-0" / "metrics.jsonl").read_text().count("\n")
        for store in (killed, whole)
    ]
    assert logs[0] == logs[1]


def test_a_section_has_the_command_that_was_typed_and_its_changes(paper, office, tmp_path):
    outcome = paper("table2,table1", tmp_path, "--json", methods="apao-pointwise", seeds="1,")
    data, table1, page = map(json.loads, outcome.out.splitlines())
    assert (
        data["command"] == f"beamwise reproduce table2 --dataset office --data {office} --out STORE"
    )
    assert table1["command"].startswith(
        "beamwise reproduce table1 --dataset office --backbone tiger --size small --data "
        f"{office} --seeds 1, --methods apao-pointwise --set settings.backbone.dim=8 "
    )
    assert "--set 'survival.widths=[5,20,100]'" in table1["command"]
    assert table1["setting"] == "Office, TIGER, small models, changed settings"
    assert table1["method"][-1].startswith("Settings that were changed: `settings.backbone.dim=8`")
    # What all are compared with was trained as well.
    assert table1["made_by"][1] == "seed 1 of ce, apao-pointwise"
    assert table1["missing"][0] == "ce-tuned: left out"
    assert page["sections"][1]["setting"] == table1["setting"]


def test_what_a_section_needs_is_looked_at_before_any_run(paper, tmp_path):
    outcome = paper("figure1,table1", tmp_path, "--set", "evaluation.ks=[5,10]")
    assert "the paper prints metrics at 20, and evaluation.ks is [5, 10]" in outcome.complaint
    assert list(tmp_path.iterdir()) == []


def test_a_report_needs_nothing_but_the_sections(beamwise, paper, tmp_path):
    paper("table2", tmp_path / "store")
    outcome = beamwise("reproduce", "report", "--out", tmp_path / "store", "--json")
    assert outcome.status == 0
    content = json.loads(outcome.out)
    assert content["page"] == str(tmp_path / "store" / "report.html")
    assert content["sections"] == [{"name": "table2", "setting": "Office"}]
    empty = beamwise("reproduce", "report", "--out", tmp_path / "empty")
    assert "run an experiment first" in empty.complaint


def test_an_archive_runs_elsewhere_and_merges_back(paper, beamwise, tmp_path, monkeypatch):
    packed = {}
    monkeypatch.setattr("beamwise.cli.reproduce_paper.write_archive", _told(packed))
    assert paper("table1", tmp_path / "store", "--archive", tmp_path / "gpu.tar").status == 0
    assert packed["commands"][0][:8] == [
        "reproduce", "table1", "--dataset", "office", "--backbone", "tiger", "--size", "small",
    ]  # fmt: skip
    assert packed["commands"][0][8:12] == ["--seeds", "2", "--methods", "ce,apao-pointwise"]
    assert packed["parts"] == ("office-tiger-small",)
    assert [config.title for config in packed["comparisons"]] == [
        "Table 1: Office, TIGER, small models"
    ]
    complaint = beamwise("reproduce", "merge", "--out", tmp_path / "store").complaint
    assert "--from is not set" in complaint
    nowhere = ("--data", tmp_path / "nowhere", "--from", tmp_path, "--out", tmp_path / "store")
    assert "no folder at --data" in beamwise("reproduce", "merge", *nowhere).complaint


def test_experiments_follow_each_other_for_all_backbones(beamwise, tmp_path, monkeypatch):
    packed = {}
    monkeypatch.setattr("beamwise.cli.reproduce_paper.write_archive", _told(packed))
    data = tiny_data(tmp_path / "office")
    outcome = beamwise(
        "reproduce", "all", "--dataset", "office", "--backbone", "tiger,llama", "--size", "small",
        "--data", data, "--archive", tmp_path / "gpu.tar",
    )  # fmt: skip
    assert outcome.status == 0
    assert f"data for own written to {tmp_path / 'office-item-ids'}" in outcome.err
    names = ("table1", "table4", "figure1", "figure4", "figure5", "table3", "own", "figure2",
             "figure3")  # fmt: skip
    assert [(words[1], words[5]) for words in packed["commands"]] == [
        ("table2", "tiger"),
        *itertools.product(names, ("tiger", "llama")),
    ]
    assert packed["data"] == {"office": data, "office-item-ids": tmp_path / "office-item-ids"}
    assert packed["parts"] == ("office-tiger-small", "office-llama-small")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("report", "--dataset", "office"), "--dataset office is not for report, which trains"),
        (("report", "--seeds", "3"), "--seeds 3 is not for report"),
        (("report", "--methods", "ce"), "--methods ce is not for report"),
        (("report", "--set", "a=1"), "--set a=1 is not for report"),
        (("report", "--data", "x"), "--data x is not for report"),
        (("report", "--from", "x"), "--from x is not for report"),
        (("report", "--plan"), "--plan is not for report, which trains nothing: leave it out"),
        (("report", "--report"), "--report is not for report"),
        (("report", "--settings"), "--settings is not for report"),
        (("merge", "--from", "x", "--budget", "9m"), "--budget 9m is not for merge"),
        (("merge", "--from", "x", "--archive", "a.tar"), "--archive a.tar is not for merge"),
        (("merge", "--from", "x", "--config", "a.yaml"), "--config a.yaml is not for merge"),
        (("merge", "--from", "x", "--size", "small"), "--size small is not for merge"),
        (("merge", "--from", "x", "--backbone", "tiger"), "--backbone tiger is not for merge"),
    ],
)
def test_options_of_training_are_refused_by_what_trains_nothing(
    beamwise, tmp_path, arguments, complaint
):
    name, *options = arguments
    outcome = beamwise("reproduce", name, "--out", tmp_path, *options)
    assert complaint in outcome.complaint


def _told(packed):
    def write_archive(asked, commands, comparisons, data, parts):
        packed.update(commands=commands, comparisons=comparisons, data=data, parts=parts)
        return 0

    return write_archive


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--backbone", "tiger"), "--dataset is not set: table1 is of one data set or several"),
        (("--dataset", "office"), "--backbone is not set"),
        (("--dataset", "toys", "--backbone", "tiger"), "unknown dataset 'toys'"),
        (("--config", "x.yaml"), "--config x.yaml is for objectives: a table takes --dataset"),
        (("--from", "x"), "--from x is for merge"),
        (
            ("--dataset", "office,beauty", "--backbone", "tiger", "--data", "x"),
            "--data x is of one data set, and 2 are asked for",
        ),
    ],
)
def test_what_a_table_needs_is_named(beamwise, tmp_path, arguments, complaint):
    assert complaint in beamwise("reproduce", "table1", "--out", tmp_path, *arguments).complaint
