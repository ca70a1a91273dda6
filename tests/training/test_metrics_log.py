import json

import pytest
import torch

from beamwise.objectives.base import Mean
from beamwise.training.metrics_log import Means, MetricsLog, read_metrics


def test_lines_are_appended_and_read_by_kind(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    log = MetricsLog(path)
    log.write("step", {"loss": 1.5})
    log.write("epoch", {"epoch": 0})
    log.write("step", {"loss": 1.25})
    assert [line["loss"] for line in read_metrics(path, "step")] == [1.5, 1.25]
    assert read_metrics(path, "epoch") == [{"kind": "epoch", "epoch": 0}]


def test_a_line_that_is_being_written_is_left_out_of_a_growing_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    MetricsLog(path).write("epoch", {"epoch": 0})
    for begun in ('{"kind": "epo', '{"kind": "epoch", "epoch": 1}'):
        path.write_text(path.read_text().splitlines(keepends=True)[0] + begun)
        assert [line["epoch"] for line in read_metrics(path, "epoch", is_growing=True)] == [0]
    path.write_text('{"kind": "epo')
    assert read_metrics(path, "epoch", is_growing=True) == []
    with pytest.raises(json.JSONDecodeError):
        read_metrics(path, "epoch")


def test_rewinding_forgets_what_the_checkpoint_did_not_know(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for loss in (3.0, 2.0, 1.0):
        log.write("step", {"loss": loss})
    resumed = MetricsLog(path)
    resumed.rewind(2)
    resumed.write("step", {"loss": 0.5})
    assert [line["loss"] for line in read_metrics(path, "step")] == [3.0, 2.0, 0.5]
    assert resumed.num_lines == 3


def test_other_processes_write_nothing(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", enabled=False)
    log.write("step", {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_mean_of_some_targets_is_weighed_by_how_many_these_are():
    means = Means()
    means.add({"gap": Mean(torch.tensor(6.0), torch.tensor(2))}, 100)  # 6 / 2, of two
    means.add({"gap": Mean(torch.tensor(0.0), torch.tensor(0))}, 100)  # of none
    means.add({"gap": Mean(torch.tensor(1.0), torch.tensor(5))}, 1)
    assert {name: float(value) for name, value in means.values().items()} == {"gap": 1.0}


def test_means_weigh_batches_by_their_targets():
    means = Means()
    means.add({"loss": torch.tensor(1.0)}, 3)
    means.add({"loss": torch.tensor(5.0)}, 1)
    assert {name: float(value) for name, value in means.values().items()} == {"loss": 2.0}
