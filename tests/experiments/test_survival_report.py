"""The report is written beside a run's results; several stand side by side."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from beamwise.evaluation import EvaluationConfig
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.evaluate_run import data_of, evaluate
from beamwise.experiments.survival_report import (
    check_page,
    compare_survival,
    diagnose,
    settings_like,
    short_names,
    survival_report,
    title_of,
)
from beamwise.testing.survival_example import example_survival
from beamwise.training.run import open_run

CONFIG = SurvivalConfig(ks=(5, 10), beam_width=10, widths=(5, 10, 20), timed_users=3)


def test_files_stand_beside_the_results_and_agree_with_an_evaluation(tiny, tmp_path):
    run = shutil.copytree(tiny, tmp_path / "run")
    survival = survival_report(run, config=CONFIG)
    content = json.loads((run / "survival.json").read_text())
    assert (content["run"], content["split"], content["unfinished"]) == (str(run), "test", False)
    assert content["settings"]["beam_width"] == 10
    assert content["seconds"] > 0
    assert content["users"] == 40
    assert (run / "survival.png").read_bytes().startswith(b"\x89PNG")
    assert "test set, 40 users" in (run / "survival.html").read_text()
    users = pl.read_parquet(run / "survival.parquet")
    assert users["user_id"].n_unique() == 40
    expected = evaluate(run).summary["recall@10"]
    assert survival.beam.mean("recall@10") == pytest.approx(expected)


def test_validation_has_a_folder_of_its_own(tiny, tmp_path):
    run = shutil.copytree(tiny, tmp_path / "run")
    survival_report(run, "validation", CONFIG.model_copy(update={"max_users": 5}))
    assert json.loads((run / "validation" / "survival.json").read_text())["users"] == 5
    assert not (run / "survival.json").exists()


def test_an_opened_model_is_diagnosed_without_a_file_written(tiny, tmp_path):
    run = shutil.copytree(tiny, tmp_path / "run")
    before = sorted(run.rglob("*"))
    opened = open_run(run)
    told = []
    survival = diagnose(
        opened, data_of(opened), config=CONFIG, progress=lambda *step: told.append(step)
    )
    assert told[-1] == (40, 40)
    assert survival.disagreeing() == []
    assert sorted(run.rglob("*")) == before


def test_settings_are_those_of_the_evaluation():
    config = settings_like(EvaluationConfig(ks=(3, 7), beam_width=9, mask="before", batch_size=4))
    assert (config.ks, config.beam_width, config.mask, config.batch_size) == (
        (3, 7),
        9,
        "before",
        4,
    )


def test_several_models_make_one_page_and_one_picture(tmp_path):
    survival = example_survival()
    reports = {str(tmp_path / "runs" / name): survival for name in ("ce", "apao")}
    picture = compare_survival(reports, "test", tmp_path / "new" / "page.html")
    page = (tmp_path / "new" / "page.html").read_text()
    assert "<h3>ce</h3>" in page
    assert "<h3>apao</h3>" in page
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_names_lose_what_they_share():
    survival = example_survival()
    named = short_names({"runs/ce/seed-0": survival, "runs/apao/seed-0": survival})
    assert list(named) == ["ce/seed-0", "apao/seed-0"]
    assert list(short_names({"runs/ce": survival})) == ["runs/ce"]


def with_settings(**changes):
    survival = example_survival()
    return replace(survival, config=survival.config.model_copy(update=changes))


@pytest.mark.parametrize("names", [("runs", "runs/ce"), ("a/x", "./a/x"), ("a/../b", "b")])
def test_names_that_would_be_lost_stay_as_they_are(names):
    survival = example_survival()
    assert list(short_names(dict.fromkeys(names, survival))) == list(names)


def test_names_say_the_mask_where_masks_differ():
    reports = {"runs/ce": with_settings(), "runs/msl": with_settings(mask="before")}
    assert list(short_names(reports)) == ["ce (mask after)", "msl (mask before)"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"beam_width": 8}, r"beam_width differs: a has 4, b has 8: .*--beam-width"),
        ({"ks": (2,)}, r"the last of ks differs: a has 4, b has 2: .*--set ks="),
    ],
)
def test_different_searches_are_not_put_side_by_side(tmp_path, changes, complaint):
    reports = {"a": with_settings(), "b": with_settings(**changes)}
    with pytest.raises(ValueError, match=complaint):
        compare_survival(reports, "test", tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_searches_that_differ_in_the_mask_or_in_lesser_cutoffs_are_comparable(tmp_path):
    reports = {"a": with_settings(), "b": with_settings(mask="before", ks=(4,))}
    picture = compare_survival(reports, "test", tmp_path / "page.html")
    assert "b (mask before)" in (tmp_path / "page.html").read_text()
    assert picture.is_file()


def test_pages_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "picture.png").mkdir()
    for name, complaint in {
        ".": "is a folder",
        "page.PNG": "is the name of the page's picture",
        "picture.html": "is a folder",
        "file/deeper/page.html": "is no folder",
    }.items():
        with pytest.raises(ValueError, match=complaint):
            check_page(tmp_path / name)
    check_page(tmp_path / "new" / "page.html")


def test_title():
    assert title_of({"a": example_survival()}, "test") == "What the beam lost: test set, 60 users"


def test_widths_by_level_are_no_width_to_report_on():
    with pytest.raises(ValueError, match=r"evaluation\.beam_width=\[9, 5\] has a width a level"):
        settings_like(EvaluationConfig(ks=(5,), beam_width=(9, 5)))
