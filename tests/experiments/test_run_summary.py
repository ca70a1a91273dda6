"""The best epoch of a log written by hand."""

import json

import pytest

from beamwise.config import read_config, write_config
from beamwise.experiments.run_summary import RunSummary, summarise_run
from beamwise.training.config import RunConfig


def write_run(folder, metric, lines):
    overrides = [f"out={folder}", "data.folder=data", f"early_stopping.metric={metric}"]
    write_config(read_config(RunConfig, overrides=overrides), folder / "config.yaml")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)


@pytest.mark.parametrize(("metric", "best"), [("recall@5", 1), ("loss", 0)])
def test_best_is_the_highest_recall_or_the_lowest_loss(tmp_path, metric, best):
    values = [0.1, 0.3, 0.2]
    lines = [{"kind": "epoch", "epoch": e, f"validation_{metric}": v} for e, v in enumerate(values)]
    write_run(tmp_path, metric, [{"kind": "step", "epoch": 0}, *lines])
    assert summarise_run(tmp_path) == RunSummary(tmp_path, 3, metric, values[best], best)


def test_the_best_is_the_last_stages_whose_weights_the_run_has(tmp_path):
    values = [(0, 0, 0.1), (0, 1, 0.9), (1, 0, 0.2), (1, 1, 0.3)]
    lines = [
        {"kind": "epoch", "stage": stage, "epoch": epoch, "validation_recall@5": value}
        for stage, epoch, value in values
    ]
    write_run(tmp_path, "recall@5", lines)
    assert summarise_run(tmp_path) == RunSummary(tmp_path, 4, "recall@5", 0.3, 1, stage=1)


def test_a_run_without_validation_has_no_best(tmp_path):
    write_run(tmp_path, "loss", [{"kind": "epoch", "epoch": 0}])
    assert summarise_run(tmp_path) == RunSummary(tmp_path, 1, "loss", None, None)


@pytest.mark.parametrize("text", [None, '{"kind": "ep', '{"epoch": 1}\n'])
def test_a_damaged_log_is_refused(tmp_path, text):
    write_run(tmp_path, "loss", [])
    (tmp_path / "metrics.jsonl").unlink()
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(ValueError, match="missing or damaged"):
        summarise_run(tmp_path)
