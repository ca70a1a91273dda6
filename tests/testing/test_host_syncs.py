"""The guard catches each way to wait for a device, and lets everything else pass."""

from __future__ import annotations

import pytest
import torch

from beamwise.testing.host_syncs import HostSyncError, forbid_host_syncs

VALUES = torch.tensor([1.0, 0.0, 2.0])
COUNTS = torch.tensor([1, 0, 2])


class ReadsInBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.sum()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.expand(len(ctx.saved_tensors[0])) * ctx.saved_tensors[0].max().item()


WAITING = {
    "item": lambda: VALUES.sum().item(),
    "float": lambda: float(VALUES.sum()),
    "int": lambda: int(COUNTS[0]),
    "if": lambda: bool(VALUES.any()),
    "in": lambda: 2.0 in VALUES,
    "list": lambda: VALUES.tolist(),
    "numpy": lambda: VALUES.numpy(),
    "cpu": lambda: VALUES.cpu(),
    "format": lambda: f"{VALUES.sum()}",
    "nonzero": lambda: VALUES.nonzero(),
    "boolean index": lambda: VALUES[VALUES > 0],
    "boolean assignment": lambda: VALUES.clone().index_put_((VALUES > 0,), VALUES[:2]),
    "masked_select": lambda: VALUES.masked_select(VALUES > 0),
    "unique": lambda: VALUES.unique(),
    "repeat": lambda: VALUES.repeat_interleave(COUNTS),
    "python slice": lambda: VALUES[: COUNTS[0]],
}


@pytest.mark.parametrize("name", WAITING)
def test_each_way_to_wait_is_caught(name):
    with pytest.raises(HostSyncError, match="would wait for the device"), forbid_host_syncs():
        WAITING[name]()
    WAITING[name]()


def test_the_backward_pass_is_watched():
    values = VALUES.clone().requires_grad_()
    loss = ReadsInBackward.apply(values)
    with pytest.raises(HostSyncError), forbid_host_syncs():
        loss.backward()


def test_what_stays_in_tensors_passes():
    values = VALUES.clone().requires_grad_()
    with forbid_host_syncs():
        repeated = values.repeat_interleave(COUNTS, output_size=3)
        chosen = torch.where(values > 0, repeated, 0.0)[torch.tensor([0, 2])]
        loss = (chosen.logsumexp(0) + values[1]).masked_fill(COUNTS.any(), 1.0)
        loss.backward()
        shape, size = values.shape, len(values)
    assert (shape, size, values.grad.shape) == ((3,), 3, (3,))
