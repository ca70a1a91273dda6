"""Settings, and evaluations written to disk and read back."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from beamwise.config import ConfigError, parse_config
from beamwise.evaluation import Evaluation, EvaluationConfig, SurvivalCounts
from beamwise.evaluation.baselines import ItemKnnConfig, PopularityConfig
from beamwise.evaluation.pruned_targets import PrunedTargets

SURVIVAL = SurvivalCounts(found=1, pruned=1, best_leaves=8, retained_leaves=6)


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        summary={"users": 2, "exact": 0.5, "recall@5": 1 / 3},
        per_user=pl.DataFrame({"row": [0, 1], "leaf_rank": [3, None], "recall@5": [1.0, 0.0]}),
        config=EvaluationConfig(ks=(1, 5), beam_width=5, full_sort=True),
        survival=SURVIVAL,
        seconds=1.25,
    )


@pytest.mark.parametrize("survival", [SURVIVAL, None])
def test_reads_back_what_it_wrote(evaluation: Evaluation, survival, tmp_path: Path):
    evaluation = dataclasses.replace(evaluation, survival=survival)
    evaluation.save(tmp_path / "new" / "folder")
    read = Evaluation.load(tmp_path / "new" / "folder")
    assert_frame_equal(read.per_user, evaluation.per_user)
    for name in ("summary", "config", "survival", "seconds"):
        assert getattr(read, name) == getattr(evaluation, name)


@pytest.mark.parametrize("config", [PopularityConfig(), ItemKnnConfig(neighbours=7)])
def test_a_baseline_reads_back_with_its_settings(evaluation: Evaluation, config, tmp_path: Path):
    dataclasses.replace(evaluation, survival=None, baseline=config).save(tmp_path)
    assert Evaluation.load(tmp_path).baseline == config


def test_results_of_before_baselines_are_read(evaluation: Evaluation, tmp_path: Path):
    evaluation.save(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content.pop("baseline") is None
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    assert Evaluation.load(tmp_path).baseline is None


@pytest.mark.parametrize("baseline", [{"name": "none"}, {"name": "popularity", "x": 1}, {}, 7])
def test_an_unknown_baseline_is_refused(evaluation: Evaluation, baseline, tmp_path: Path):
    evaluation.save(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    (tmp_path / "evaluation.json").write_text(json.dumps(content | {"baseline": baseline}))
    with pytest.raises(ValueError, match="is not readable"):
        Evaluation.load(tmp_path)


def test_writes_two_files_and_no_others(evaluation: Evaluation, tmp_path: Path):
    evaluation.save(tmp_path)
    evaluation.save(tmp_path)  # in the place of the first
    assert {path.name for path in tmp_path.iterdir()} == {"evaluation.json", "per_user.parquet"}
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["summary"] == evaluation.summary
    assert content["settings"] == {
        "ks": [1, 5],
        "beam_width": 5,
        "mask": "after",
        "batch_size": 256,
        "full_sort": True,
    }
    assert content["survival"]["counts"]["pruned"] == 1
    assert content["survival"]["shares"]["retention"] == 0.75
    assert "pruned" not in content["survival"]  # these rows do not tell


def test_says_where_targets_were_pruned(evaluation: Evaluation, tmp_path: Path):
    told = {"pruned_at": [2, None], "pruned_by_token": [True, None]}
    rows = evaluation.per_user.with_columns(**{k: pl.Series(v) for k, v in told.items()})
    dataclasses.replace(evaluation, per_user=rows).save(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["survival"]["pruned"] == {"at": {"2": 1}, "by_token": 1}
    assert Evaluation.load(tmp_path).pruned == PrunedTargets({2: 1}, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused_and_nothing_is_written(
    evaluation: Evaluation, value: float, tmp_path: Path
):
    broken = dataclasses.replace(evaluation, summary={"users": 2, "recall@5": value})
    with pytest.raises(ValueError, match="recall@5 is not finite"):
        broken.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_failed_write_leaves_the_old_files_and_no_scraps(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    evaluation.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def half_written(self: pl.DataFrame, file: Path) -> None:
        file.write_bytes(b"PAR1")
        raise OSError("no space left")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half_written)
    with pytest.raises(OSError, match="no space left"):
        evaluation.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["evaluation.json", "per_user.parquet"])
def test_a_missing_file_is_named_in_one_line(evaluation: Evaluation, name: str, tmp_path: Path):
    evaluation.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"^no evaluation in .*run `beamwise evaluate` first$"):
        Evaluation.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evaluation.json", "{"),
        ("evaluation.json", "[]"),
        ("evaluation.json", '{"summary": {}}'),
        ("evaluation.json", '{"survival": null, "summary": {}, "settings": {"k": 1}}'),
        ("per_user.parquet", "PAR1"),
        ("per_user.parquet", "PAR1" + "\0" * 40 + "PAR1"),
    ],
)
def test_an_unreadable_file_is_named_in_one_line(
    evaluation: Evaluation, name: str, text: str, tmp_path: Path
):
    evaluation.save(tmp_path)
    (tmp_path / name).write_text(text)
    message = r"is not readable .*\(.+\): run `beamwise evaluate` again$"
    with pytest.raises(ValueError, match=message) as caught:
        Evaluation.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ks", [[], [5, 5], [10, 5], [5, 21], [0, 5]])
def test_cutoffs_that_do_not_fit_are_refused(ks):
    with pytest.raises(ConfigError, match="ks"):
        parse_config(EvaluationConfig, {"ks": ks}, source="test")


def test_the_whole_beam_is_a_cutoff():
    assert EvaluationConfig(ks=(7,), beam_width=7).ks == (7,)
