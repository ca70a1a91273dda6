"""`evaluate --survival`: tables, sentences, JSON and pages; bad input before any work."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

from beamwise.cli import survival
from beamwise.experiments import survival_report
from beamwise.training.run import open_run

ASKED = ("--set", "widths=[5,20]", "--set", "timed_users=2", "--set", "max_users=8")


@pytest.fixture
def unwritten(monkeypatch):
    """No pictures and pages, which take most of the time."""
    monkeypatch.setattr(survival_report, "plot_report", lambda *arguments: None)
    monkeypatch.setattr(survival_report, "survival_page", lambda *arguments: "a page")


def test_tables_sentences_and_files(beamwise, run):
    outcome = beamwise("evaluate", run, "--survival", *ASKED)
    assert outcome.status == 0
    for text in ("By beam width", "proved exact", "level by level", "How wide a beam"):
        assert text in outcome.out
    assert "What the beam lost: test set, 8 users" in outcome.out
    for name in ("json", "parquet", "png", "html"):
        assert (run / f"survival.{name}").is_file()
    assert f"open {run / 'survival.html'}" in outcome.err
    assert not (run / "evaluation.json").exists()


def test_titles_are_followed_token_by_token(beamwise, titled_run):
    outcome = beamwise("evaluate", titled_run, "--survival", *ASKED)
    assert outcome.status == 0
    said = " ".join(outcome.out.split())
    for text in (
        "What the beam lost: test set, 8 users",
        "By title. Recall and NDCG",
        "beam of 10, token by token",
        "of these by token",
        "those are told of at which a beam has a choice; forced ones belong to the token before",
        "all losses happen at ",
    ):
        assert text in said
    assert not re.search(r"\blevels?\b", said)
    for name in ("json", "parquet", "png", "html"):
        assert (titled_run / f"survival.{name}").is_file()
    page = re.sub("<[^>]+>", " ", (titled_run / "survival.html").read_text(encoding="utf-8"))
    assert "beam of 10, token by token" in page
    assert not re.search(r"\blevels?\b", page)


def test_json_is_one_line_a_run_and_several_runs_share_a_page(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    page = tmp_path / "pages" / "both.html"
    outcome = beamwise("evaluate", run, other, "--survival", "--json", "--html", page, *ASKED)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["run"] for line in lines] == [str(run), str(other)]
    assert [each["width"] for each in lines[0]["widths"]] == [5, 10, 20]
    saved = json.loads((run / "survival.json").read_text())
    assert lines[0]["levels"] == saved["levels"]
    text = page.read_text()
    assert "<h3>run</h3>" in text
    assert "<h3>other</h3>" in text
    assert page.with_suffix(".png").is_file()


@pytest.mark.usefixtures("unwritten")
def test_without_a_name_the_shared_page_is_in_the_first_run(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    outcome = beamwise("evaluate", run, other, "--survival", "--split", "validation", *ASKED)
    assert outcome.status == 0
    assert (run / "validation" / "survival-compared.html").is_file()
    assert (other / "validation" / "survival.html").is_file()


def test_a_foreign_model_beside_the_run_that_it_came_from(beamwise, run, tiny, tmp_path):
    open_run(run).backbone.to_huggingface().save_pretrained(tmp_path / "foreign")
    page = tmp_path / "both.html"
    outcome = beamwise(
        "evaluate", run, "--survival", "--model", tmp_path / "foreign",
        "--catalog", tiny / "data" / "catalog", "--data", tiny / "data",
        "--html", page, "--json", "--beam-width", 10, *ASKED,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    own, foreign = (json.loads(line) for line in outcome.out.splitlines())
    assert foreign["run"] == str(tmp_path / "foreign")
    assert foreign["levels"] == own["levels"]
    assert "<h3>foreign</h3>" in page.read_text()
    assert not list((tmp_path / "foreign").glob("survival*"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "give a run folder, or --survival with --model"),
        (("--model", "m"), "--model m is for the survival report: add --survival"),
        (("--survival", "--model", "m", "--catalog", "c", "--data", "d"), "m is no model folder"),
        (("--survival", "--catalog", "c"), "give a run folder"),
    ],
)
def test_a_foreign_model_needs_its_options(beamwise, options, complaint):
    outcome = beamwise("evaluate", *options)
    assert outcome.status == 2
    assert complaint in outcome.complaint


def test_a_foreign_model_has_no_folder_for_its_report(beamwise, run, tiny, tmp_path):
    open_run(run).backbone.to_huggingface().save_pretrained(tmp_path / "foreign")
    outcome = beamwise(
        "evaluate", "--survival", "--model", tmp_path / "foreign",
        "--catalog", tiny / "data" / "catalog", "--data", tiny / "data", *ASKED,
    )  # fmt: skip
    assert outcome.status == 2
    assert "name its page, as --html survival.html" in outcome.complaint


def test_the_width_and_the_mask_are_options(beamwise, run):
    outcome = beamwise(
        "evaluate", run, "--survival", "--json", "--beam-width", 7, "--mask", "before", *ASKED
    )
    settings = json.loads(outcome.out)["settings"]
    assert (settings["beam_width"], settings["mask"], settings["ks"]) == (7, "before", [5])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--survival", "--full-sort"), "leave out --full-sort"),
        (("--survival", "--baselines"), "leave out --baselines"),
        (("--html", "page.html"), "add --survival"),
        (("--survival", "--beam-width", 0), "beam_width"),
        (("--survival", "--beam-width", 100_000), "beam_width must be in 1.."),
        (("--survival", "--set", "width=[5]"), "width"),
        (("--survival", "--set", "widths=[9,5]"), "widths must be ascending"),
        (("--survival", "--html", "page.png"), "page.png is the name of the page's picture"),
        (("--survival", "--html", "/"), "/ is a folder"),
    ],
)
def test_bad_input_is_one_line_before_any_work(beamwise, run, options, complaint):
    assert complaint in beamwise("evaluate", run, *options).complaint
    assert not (run / "survival.json").exists()


def test_a_run_without_a_checkpoint_is_named(beamwise, run):
    shutil.rmtree(run / "checkpoint")
    assert "no checkpoint at" in beamwise("evaluate", run, "--survival").complaint


def with_evaluation(run, **changes):
    """Write other settings of the evaluation into the run's own."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["evaluation"] |= changes
    (run / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.usefixtures("unwritten")
def test_runs_that_search_differently_are_refused_before_any_work(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    with_evaluation(other, beam_width=12)
    outcome = beamwise("evaluate", run, other, "--survival", *ASKED)
    assert "beam_width differs" in outcome.complaint
    assert "as --beam-width 20" in outcome.complaint
    assert not (run / "survival.json").exists()
    assert beamwise("evaluate", run, other, "--survival", "--beam-width", 12, *ASKED).status == 0


@pytest.mark.usefixtures("unwritten")
def test_masks_that_differ_are_told_and_one_given_is_for_all(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    with_evaluation(other, mask="before")
    out = beamwise("evaluate", run, other, "--survival", *ASKED).out
    assert "run (mask after)" in out
    assert "other (mask before)" in out
    outcome = beamwise("evaluate", run, other, "--survival", "--json", "--mask", "after", *ASKED)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["settings"]["mask"] for line in lines] == ["after", "after"]


@pytest.mark.usefixtures("unwritten")
def test_one_run_under_two_names_is_measured_once(beamwise, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    outcome = beamwise("evaluate", run, run.name, "--survival", "--json", *ASKED)
    assert [json.loads(line)["run"] for line in outcome.out.splitlines()] == [str(run)]


def test_a_foreign_model_is_checked_before_any_run_is_measured(beamwise, run, tiny, tmp_path):
    open_run(run).backbone.to_huggingface().save_pretrained(tmp_path / "foreign")
    outcome = beamwise(
        "evaluate", run, "--survival", "--model", tmp_path / "foreign",
        "--catalog", tiny / "data" / "catalog", "--data", tiny / "data",
        "--html", tmp_path / "both.html", *ASKED,
    )  # fmt: skip
    assert "beam_width differs" in outcome.complaint  # 10 of the run, 20 where nothing else is said
    assert not (run / "survival.json").exists()


def test_more_runs_than_colours_are_refused(beamwise, run, tmp_path):
    runs = [shutil.copytree(run, tmp_path / f"run-{number}") for number in range(7)]
    assert "got 7 models to draw" in beamwise("evaluate", *runs, "--survival").complaint


@pytest.mark.usefixtures("unwritten")
def test_what_takes_long_is_told_with_what_takes_less(beamwise, run, monkeypatch):
    catalog = open_run(run).catalog
    each = catalog.num_nodes - catalog.num_leaves
    assert "a long work" not in beamwise("evaluate", run, "--survival", *ASKED).err
    monkeypatch.setattr(survival, "MOST_PREFIXES", 4 * each)
    said = beamwise("evaluate", run, "--survival", *ASKED).err
    assert (
        f"{each:,} prefixes are scored for each of 8 users, a long work: --set max_users=4" in said
    )
    monkeypatch.setattr(
        survival, "num_prefixes_scored", lambda _, mask: 9 if mask == "after" else 2
    )
    monkeypatch.setattr(survival, "MOST_PREFIXES", 40)
    said = beamwise("evaluate", run, "--survival", *ASKED).err
    assert "max_users=4 looks at so many users, evenly spread; --mask before takes 2 a user" in said
