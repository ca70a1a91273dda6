"""Runs are measured side by side; what does not fit is refused before any work."""

import json
import re
import shutil

import pytest

from beamwise.evaluation import Evaluation


def test_runs_stand_side_by_side_and_results_are_saved(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    outcome = beamwise("evaluate", run, other, "--full-sort")
    assert outcome.status == 0
    assert "recall@10" in outcome.out
    assert "dropped by the beam" in outcome.out
    row = next(line for line in outcome.out.splitlines() if "recall@10" in line)
    value = f"{Evaluation.load(run).summary['recall@10']:.4f}"
    assert row.count(value) == 2
    assert Evaluation.load(other).survival is not None


def test_titles_are_counted_by_title_and_by_item(beamwise, titled_run):
    widest = ("--set", "beam_width=199", "--set", "ks=[100]")
    outcome = beamwise("evaluate", titled_run, "--full-sort", *widest)
    assert outcome.status == 0
    said = " ".join(outcome.out.split())
    for group in ("beam search, by title", "beam search, by item", "full sort, by title"):
        assert group in said
    assert "before the softmax" in said
    assert not re.search(r"semantic ID|\blevel\b", said)
    assert f"saved in {titled_run}\n" in outcome.err
    saved = Evaluation.load(titled_run)
    rows = [line for line in outcome.out.splitlines() if "recall@100" in line]
    for suffix, row in zip(("", "_by_item"), rows, strict=False):
        value = saved.summary[f"recall@100{suffix}"]
        assert f"{value:.4f}" in row
        assert value == saved.summary[f"recall@100{suffix}_full_sort"] > 0  # such a beam is exact
    assert len(rows) == 4
    assert (saved.survival.pruned, saved.survival.promoted) == (0, 0)


def test_json_is_one_line_a_run(beamwise, run, tmp_path):
    outcome = beamwise("evaluate", run, "--json", "--beam-width", 5, "--split", "validation")
    content = json.loads(outcome.out)
    assert (content["run"], content["split"]) == (str(run), "validation")
    assert content["settings"]["beam_width"] == 5
    assert "recall@10" not in content["summary"]
    assert content["summary"] == Evaluation.load(run / "validation").summary
    assert content["survival"] is None


def test_the_mask_is_a_setting(beamwise, run):
    content = json.loads(beamwise("evaluate", run, "--json", "--mask", "before").out)
    assert content["settings"]["mask"] == "before"


def test_baselines_stand_beside_the_runs(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    outcome = beamwise("evaluate", run, other, "--baselines")
    assert outcome.status == 0
    assert outcome.out.count("popularity") == outcome.out.count("item-kNN") == 1
    value = Evaluation.load(run / "baselines" / "popularity").summary["recall@10"]
    row = next(line for line in outcome.out.splitlines() if "recall@10" in line)
    assert f"{value:.4f}" in row
    for name in ("popularity", "item-kNN"):
        assert (other / "baselines" / name / "evaluation.json").is_file()


def test_json_lines_of_baselines_say_what_they_are(beamwise, run):
    outcome = beamwise("evaluate", run, "--baselines", "--json", "--split", "validation")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["run"] for line in lines] == [str(run), "popularity", "item-kNN"]
    assert [line["baseline"] for line in lines] == [
        None,
        {"name": "popularity"},
        {"name": "item-kNN", "neighbours": 100},
    ]
    saved = Evaluation.load(run / "validation" / "baselines" / "item-kNN")
    assert lines[2]["summary"] == saved.summary


def test_runs_that_read_other_data_have_baselines_of_their_own(beamwise, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("max_history: 20", "max_history: 2"))
    lines = beamwise("evaluate", run, other, "--baselines", "--json").out.splitlines()
    names = [json.loads(line)["run"] for line in lines][2:]
    assert names == ["popularity", "item-kNN", f"popularity ({other})", f"item-kNN ({other})"]


DAMAGE = {
    "no config": (lambda run: (run / "config.yaml").unlink(), "config.yaml is missing"),
    "no catalog": (lambda run: shutil.rmtree(run / "catalog"), "no catalog at"),
    "no checkpoint": (lambda run: shutil.rmtree(run / "checkpoint"), "no checkpoint at"),
    "cut catalog": (lambda run: cut(run / "catalog" / "tokens.parquet"), "is not readable"),
    "cut items": (lambda run: cut(run / "catalog" / "items.parquet"), "missing or damaged"),
    "cut weights": (lambda run: cut(run / "checkpoint" / "best.safetensors"), "cut short"),
    "other sizes": (lambda run: widen(run / "config.yaml"), "does not fit this model"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def widen(path):
    path.write_text(path.read_text().replace("  dim: 8\n", "  dim: 16\n"))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_named(beamwise, run, name):
    damage, complaint = DAMAGE[name]
    damage(run)
    for command in (("evaluate", run), ("recommend", run, "--history", "item-0001")):
        assert complaint in beamwise(*command).complaint
    assert not (run / "evaluation.json").exists()


def test_a_catalog_that_does_not_fit_the_model_is_named(beamwise, run, tiny, tmp_path):
    data = shutil.copytree(tiny / "data", tmp_path / "data")
    beamwise("tokenize", data, "--codebook-size", 500)
    for name in ("tokens.parquet", "catalog.json"):
        shutil.copy(data / "catalog" / name, run / "catalog" / name)
    assert "does not fit this model" in beamwise("evaluate", run).complaint


def test_the_first_run_is_not_evaluated_where_the_second_is_bad(beamwise, run, tmp_path):
    assert "no run folder" in beamwise("evaluate", run, tmp_path / "no").complaint
    assert not (run / "evaluation.json").exists()


def test_bad_widths_are_named(beamwise, run):
    assert "beam_width" in beamwise("evaluate", run, "--beam-width", 0).complaint


def test_settings_replace_those_of_the_run(beamwise, run, tmp_path):
    (tmp_path / "wide.yaml").write_text("beam_width: 12\n")
    asked = ("--config", tmp_path / "wide.yaml", "--set", "ks=[2,12]", "--json")
    line = json.loads(beamwise("evaluate", run, *asked).out)
    assert line["settings"]["beam_width"] == 12
    assert {"recall@2", "recall@12"} <= line["summary"].keys()
    outcome = beamwise("evaluate", run, "--set", "beam_widht=3")
    assert "did you mean 'beam_width'" in outcome.complaint


def test_other_data_of_the_same_tokenizer(beamwise, fitted, run, tmp_path):
    fit = shutil.copytree(fitted / "run", tmp_path / "fit")
    again = shutil.copytree(fitted / "run", tmp_path / "again")
    later = shutil.copytree(fitted / "data", tmp_path / "later")
    gone = tmp_path / "gone.csv"
    gone.write_text("item_id\nitem-0000\n")
    assert beamwise("tokenize", later, "--retire", gone).status == 0
    asked = ("--data", later, "--baselines")
    outcome = beamwise("evaluate", fit, again, *asked)
    assert outcome.status == 0
    assert outcome.out.count("popularity") == 1  # runs on the same data, wherever they were trained
    assert f"saved in {fit / 'on-later'}" in outcome.err
    for folder in (fit, again):
        assert Evaluation.load(folder / "on-later").summary["users"] == 40
        assert (folder / "on-later" / "baselines" / "item-kNN" / "evaluation.json").is_file()
        assert not (folder / "evaluation.json").exists()
    beamwise("evaluate", fit, "--data", later, "--split", "validation")
    assert (fit / "on-later" / "validation" / "evaluation.json").is_file()
    complaint = beamwise("evaluate", fit, run, "--data", later).complaint
    assert f"beamwise tokenize {later} --like RUN_DATA" in complaint
    assert not list(run.glob("on-*"))


def test_runs_trained_elsewhere_share_the_baselines_on_other_data(beamwise, fitted, tmp_path):
    fit, moved = (shutil.copytree(fitted / "run", tmp_path / name) for name in ("fit", "moved"))
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace(str(fitted / "data"), str(tmp_path / "x")))
    outcome = beamwise("evaluate", fit, moved, "--data", fitted / "data", "--baselines", "--json")
    names = [json.loads(line)["run"] for line in outcome.out.splitlines()]
    assert names == [str(fit), str(moved), "popularity", "item-kNN"]


def test_retired_targets_and_results_on_other_data_are_told(beamwise, fitted, tmp_path):
    fit = shutil.copytree(fitted / "run", tmp_path / "fit")
    later = shutil.copytree(fitted / "data", tmp_path / "a" / "later")
    assert beamwise("evaluate", fit).status == 0
    items = Evaluation.load(fit).per_user["item_id"]
    gone = tmp_path / "gone.csv"
    gone.write_text(f"item_id\n{items[0]}\n")
    assert beamwise("tokenize", later, "--retire", gone).status == 0
    outcome = beamwise("evaluate", fit, "--data", later)
    told = f"{(items == items[0]).sum()} of 40 targets are retired items"
    assert told in outcome.err
    other = shutil.copytree(later, tmp_path / "b" / "later")
    complaint = beamwise("evaluate", fit, "--data", other).complaint
    assert f"on-later holds the result on {later.resolve()}" in complaint
