"""Bars on standard error."""

import pytest

from beamwise.cli.progress import TrainingProgress, UserProgress, WorkProgress


def step(number, epoch=0):
    return {"epoch": epoch, "step": number, "steps": 4, "epochs": 2, "loss": 1.5, "targets": 64}


def test_training_shows_epoch_loss_and_speed(capsys):
    with TrainingProgress() as progress:
        assert progress.last is None
        progress(step(4))
        progress(step(5, epoch=1))
    err = capsys.readouterr().err
    assert "epoch 2/2" in err
    assert "5/8" in err
    assert "loss 1.5000" in err
    assert "examples/s" in err
    assert progress.last == step(5, epoch=1)


def test_a_second_run_has_a_bar_of_its_own(capsys):
    with TrainingProgress() as progress:
        progress(step(8, epoch=1))
        progress(step(1))
    err = capsys.readouterr().err
    assert "8/8" in err
    assert "1/8" in err


def test_users_are_counted(capsys):
    with UserProgress("runs/ce") as progress:
        progress(16, 40)
        progress(40, 40)
    err = capsys.readouterr().err
    assert "runs/ce" in err
    assert "40/40" in err


def test_each_kind_of_work_has_a_bar(capsys):
    with WorkProgress() as progress:
        progress("embedding", 5, 10)
        progress("embedding", 10, 10)
        progress("quantising", 1, 4)
    err = capsys.readouterr().err
    assert "embedding" in err
    assert "10/10" in err
    assert "quantising" in err
    assert "1/4" in err


@pytest.mark.parametrize("bar", [WorkProgress, TrainingProgress])
def test_a_refusal_stands_alone(capsys, bar):
    def fail():
        with bar() as progress:
            progress(*(["work", 1, 2] if bar is WorkProgress else [step(1)]))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert capsys.readouterr().err == ""
