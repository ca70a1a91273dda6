import hashlib

import pytest
import torch
from torch import nn

from beamwise.training.checkpoint import (
    BEST,
    LAST,
    State,
    load_last,
    load_weights,
    read_tensors,
    save_best,
    save_last,
    weights_version,
)


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.tensor([0.25, 0.75]))


def trained(seed):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def test_what_is_restored_continues_the_same(tmp_path):
    model, optimizer = trained(0)
    objective = Weights()
    save_last(tmp_path, State(model, objective, optimizer, {}), {"epoch": 3, "loss_sum": 0.1})
    other, other_optimizer = trained(1)
    other_objective = Weights()
    other_objective.weights.zero_()
    progress = load_last(tmp_path, State(other, other_objective, other_optimizer, {}))
    assert progress == {"epoch": 3, "loss_sum": 0.1}
    assert torch.equal(other_objective.weights, objective.weights)
    for one, its_optimizer in ((model, optimizer), (other, other_optimizer)):
        one(torch.ones(1, 3)).sum().backward()
        its_optimizer.step()
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_nothing_unfinished_stays_behind(tmp_path):
    model, optimizer = trained(0)
    save_last(tmp_path, State(model, Weights(), optimizer, {}), {})
    save_best(tmp_path, model)
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST, LAST]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    model, optimizer = trained(0)
    save_last(tmp_path, State(model, Weights(), optimizer, {}), {"epoch": 1})
    before = (tmp_path / LAST).read_bytes()

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("beamwise.training.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_last(tmp_path, State(model, Weights(), optimizer, {}), {"epoch": 2})
    assert (tmp_path / LAST).read_bytes() == before


def test_best_weights_come_first_and_last_ones_serve_without_them(tmp_path):
    model, optimizer = trained(0)
    save_last(tmp_path, State(model, Weights(), optimizer, {}), {})
    fresh = nn.Linear(3, 2)
    load_weights(tmp_path, fresh)
    assert torch.equal(fresh.weight, model.weight)
    best, _ = trained(9)
    save_best(tmp_path, best)
    load_weights(tmp_path, fresh)
    assert torch.equal(fresh.weight, best.weight)


def test_missing_damaged_and_foreign_checkpoints_are_named(tmp_path):
    with pytest.raises(ValueError, match=f"no checkpoint at .*{LAST}"):
        load_weights(tmp_path, nn.Linear(3, 2))
    model, _ = trained(0)
    save_best(tmp_path, model)
    with pytest.raises(ValueError, match=r"bias is \(2,\) in the file and \(5,\) here"):
        load_weights(tmp_path, nn.Linear(3, 5))
    with pytest.raises(ValueError, match=r"bias is \(2,\) in the file and nothing here"):
        load_weights(tmp_path, nn.Linear(3, 2, bias=False))
    whole = (tmp_path / BEST).read_bytes()
    (tmp_path / BEST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_tensors(tmp_path / BEST)


def test_weights_have_a_version_of_their_content(tmp_path):
    assert weights_version(tmp_path) is None
    (tmp_path / LAST).write_bytes(b"last")
    first = weights_version(tmp_path)
    assert first == hashlib.sha256(b"last").hexdigest()[:16]
    (tmp_path / BEST).write_bytes(b"best")
    assert weights_version(tmp_path) == hashlib.sha256(b"best").hexdigest()[:16]
    (tmp_path / BEST).write_bytes(b"better")
    assert weights_version(tmp_path) == hashlib.sha256(b"better").hexdigest()[:16]
