"""The temperature of a softmax over legal tokens, as it follows the logits of a first choice."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, distributed, nn

from beamwise._segments import segment_sum
from beamwise.objectives.base import LegalLogits


def first_step_moments(
    legal: LegalLogits,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """How the target's token stands among the others at the first step that has others.

    These are d and v of MSL's temperature. The paper measures the first token; that of a title is
    forced (a quotation mark), so the first branching step takes its place, which is the first token
    of a semantic ID. Both are taken within a step, so a shift of all its logits, which no softmax
    sees, changes neither.

    Returns:
        Per target, without gradient: its logit minus the mean of the other legal tokens', and
        the variance of those; 0 where no step has others.
    """
    logits, counts = legal.logits.detach(), legal.counts.flatten()
    own = logits.index_select(0, legal.target_place.flatten())
    num_others = (counts - 1).clamp(min=1)
    means = (segment_sum(logits, counts) - own) / num_others
    squares = (logits - means.index_select(0, legal.step)).square()
    gaps = own - means
    variances = (segment_sum(squares, counts) - gaps.square()) / num_others
    first = _first_branching(legal)
    has_others = legal.counts.gather(1, first)[:, 0] > 1
    first_gaps, first_variances = (
        x.view(legal.counts.shape).gather(1, first)[:, 0] for x in (gaps, variances)
    )
    return first_gaps * has_others, first_variances.clamp(min=0) * has_others


def _first_branching(legal: LegalLogits) -> Int64[Tensor, "batch 1"]:
    """The level of each target's first step with several legal tokens; 0 where none has."""
    return (legal.counts > 1).int().argmax(1, keepdim=True)


def balancing_temperature(
    gap: Float[Tensor, ""],
    variance: Float[Tensor, ""],
    num_tokens: Float[Tensor, ""],
    *,
    eta: float,
    lowest: float,
    highest: float,
) -> Float[Tensor, ""]:
    """The highest temperature at which the target's token still weighs as much as asked.

    With d the gap, v the variance and C = log(eta * num_tokens), MSL's

        tau = (d + sqrt(max(d^2 - 2 C v, 0))) / (2 C)

    is the larger root of  d / tau = C + v / (2 tau^2):  the target's exp(logit / tau) equals the
    sum over eta * num_tokens others whose logits are normally distributed. Where C <= 0, so few
    others never outweigh the target however high the temperature, and the bound decides.

    Args:
        gap: d, mean of the targets' logits minus mean of the others'.
        variance: v, of the others' logits.
        num_tokens: Legal tokens of the first branching step.
        eta: Share of them, in (0, 1].
        lowest: Lower bound.
        highest: Upper bound; the result where C <= 0.
    """
    log_share = (eta * num_tokens).log()
    root = (gap.square() - 2 * log_share * variance).clamp(min=0).sqrt()
    temperature = (gap + root) / (2 * log_share)
    return torch.where(log_share > 0, temperature, highest).clamp(lowest, highest)


class AdaptiveTemperature(nn.Module):
    """A temperature that moves a little towards each micro-batch's balancing one.

        tau <- (1 - smoothing) tau + smoothing * balancing_temperature(micro-batch)

    A batch may be a part of a micro-batch. All parts use the temperature that the micro-batch
    began with; what they measure is added up, over all processes, and moves the temperature when
    the next micro-batch opens. So nothing depends on how a micro-batch is cut. In evaluation mode
    nothing is updated. While `begin_update` is never called, each batch is a micro-batch. Every
    process must call `forward` equally often.

    Args:
        initial: Temperature of the first micro-batch.
        lowest: Lower bound of the balancing temperature.
        highest: Upper bound.
        smoothing: Share of a micro-batch, in (0, 1].
        eta: As in `balancing_temperature`.
    """

    temperature: Float[Tensor, ""]
    sums: Float[Tensor, " four"]

    def __init__(
        self, *, initial: float, lowest: float, highest: float, smoothing: float, eta: float
    ) -> None:
        super().__init__()
        self.lowest, self.highest = lowest, highest
        self.smoothing, self.eta = smoothing, eta
        self._opens_micro_batch = True
        self.register_buffer("temperature", torch.tensor(initial))
        self.register_buffer("sums", torch.zeros(4))  # gaps, variances, first tokens, targets

    def begin_update(self, micro_batch: bool) -> None:
        """Told before a batch: whether it opens a micro-batch."""
        self._opens_micro_batch = micro_batch

    def forward(self, legal: LegalLogits) -> Float[Tensor, ""]:
        """The temperature of this batch, of which the first branching step is measured."""
        if self.training:
            if self._opens_micro_batch:
                self._move()
            self.sums += self._measured(legal)
        # A copy: the loss is computed back from the value that it was formed with.
        return self.temperature.clone()

    def _measured(self, legal: LegalLogits) -> Float[Tensor, " four"]:
        gaps, variances = first_step_moments(legal)
        num_tokens = legal.counts.gather(1, _first_branching(legal))[:, 0].to(gaps.dtype)
        columns = torch.stack([gaps, variances, num_tokens, torch.ones_like(gaps)])
        sums = columns.sum(1).to(self.sums.dtype)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        return sums

    def _move(self) -> None:
        num_targets = self.sums[3]
        gap, variance, num_tokens = (self.sums[:3] / num_targets.clamp(min=1)).unbind()
        towards = balancing_temperature(
            gap, variance, num_tokens, eta=self.eta, lowest=self.lowest, highest=self.highest
        )
        moved = self.temperature.lerp(towards, self.smoothing)
        self.temperature.copy_(torch.where(num_targets > 0, moved, self.temperature))
        self.sums.zero_()
