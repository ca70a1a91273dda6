"""An epoch's time from logs, and from a few steps that leave nothing behind."""

import json

import pytest

from beamwise.config import changed_config
from beamwise.experiments import throughput
from beamwise.experiments.throughput import logged_epoch_seconds, measured_epoch_seconds
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.objectives.softmax_dpo import SoftmaxDPOConfig
from beamwise.testing.tiny_run import tiny_config
from beamwise.training.config import StageConfig


def log(folder, *lines):
    folder.mkdir()
    text = "".join(json.dumps({"kind": "epoch", **line}) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def test_the_mean_of_the_epochs_of_a_stage(tmp_path):
    one = log(tmp_path / "a", {"train_seconds": 2.0}, {"train_seconds": 4.0})
    two = log(tmp_path / "b", {"stage": 0, "train_seconds": 6.0}, {"stage": 1, "train_seconds": 9})
    folders = [one, two, tmp_path / "absent"]
    assert logged_epoch_seconds(folders, 0) == 4.0
    assert logged_epoch_seconds(folders, 1) == 9.0
    assert logged_epoch_seconds([tmp_path / "absent"], 0) is None


def test_a_log_may_be_written_meanwhile_but_not_damaged(tmp_path):
    folder = log(tmp_path / "a", {"train_seconds": 2.0})
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "ep')
    assert logged_epoch_seconds([folder], 0) == 2.0
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged: delete that run's folder"):
        logged_epoch_seconds([folder], 0)


def test_steps_are_timed_and_nothing_is_kept(tiny, tmp_path, monkeypatch):
    """A clock that goes on by one second a look: an epoch takes as long as its targets do."""
    config = tiny_config(tmp_path / "out", tiny.parent / "data")
    config = changed_config(
        config, None, ["training.batch_size=16", "training.micro_batch_size=16"]
    )
    ticks = iter(range(1000))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: float(next(ticks)))
    (seconds,) = measured_epoch_seconds(config)
    num_targets = len(throughput.RunData.load(config.data).train)
    looks = seconds / num_targets * 2 * 16  # steps timed, targets of a step
    assert looks == pytest.approx(round(looks))
    assert looks >= 1
    assert list(tmp_path.iterdir()) == []


def test_every_stage_is_timed_with_what_it_needs(tiny, tmp_path):
    stages = (
        StageConfig(objective=CrossEntropyConfig()),
        StageConfig(objective=SoftmaxDPOConfig(reference=tmp_path / "not-there-yet")),
    )
    config = tiny_config(tmp_path / "out", tiny.parent / "data")
    config = config.model_copy(update={"stages": stages, "start_from": tmp_path / "nor-this"})
    first, second = measured_epoch_seconds(config)
    assert first > 0
    assert second > 0
