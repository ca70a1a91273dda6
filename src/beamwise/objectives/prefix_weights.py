"""How much each prefix length weighs in a prefix-aware loss, and how that adapts to its loss.

Log-weights here are defined up to a constant: their softmax is the weight vector. In log space a
prefix that has lost nearly all its weight can still win it back; as weights it would round to 0.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, distributed, nn

WeightForm = Literal["uniform", "hard-max", "eq17", "algorithm1", "released"]
UpdateEvery = Literal["micro_batch", "step"]
STATEFUL_FORMS: frozenset[WeightForm] = frozenset({"eq17", "algorithm1"})


def uniform(losses: Float[Tensor, " levels"]) -> Float[Tensor, " levels"]:
    """Equal weights, whatever the losses."""
    return torch.zeros_like(losses)


def hard_max(losses: Float[Tensor, " levels"]) -> Float[Tensor, " levels"]:
    """All weight on the worst prefix, APAO Eq. (15); on the first of equals."""
    worst = torch.arange(len(losses), device=losses.device) == losses.argmax()
    return torch.zeros_like(losses).masked_fill(~worst, -torch.inf)


def eq17(
    log_weights: Float[Tensor, " levels"], losses: Float[Tensor, " levels"], *, eta: float
) -> Float[Tensor, " levels"]:
    """Multiplicative update, APAO Eq. (17): w_m <- w_m exp(eta L_m) / sum.

    It is the w that maximises  sum_m w_m L_m - KL(w || previous w) / eta  (Eq. 16).
    """
    return log_weights + eta * losses


def algorithm1(
    log_weights: Float[Tensor, " levels"], losses: Float[Tensor, " levels"], *, eta: float
) -> Float[Tensor, " levels"]:
    """The same update with L divided by its sum over prefixes, as APAO's Algorithm 1 has it.

    Losses that are all 0 leave the weights as they are.
    """
    total = losses.sum()
    return log_weights + eta * losses / torch.where(total > 0, total, 1.0)


def released(losses: Float[Tensor, " levels"], *, eta: float) -> Float[Tensor, " levels"]:
    """Weights of APAO's released code: w_m = L_m exp(eta L_m) / sum, with no memory.

    A prefix without loss gets no weight; losses that are all 0 give equal weights.
    """
    return torch.where(losses.sum() > 0, losses, 1.0).log() + eta * losses


def update_log_weights(
    form: WeightForm,
    log_weights: Float[Tensor, " levels"],
    losses: Float[Tensor, " levels"],
    *,
    eta: float,
) -> Float[Tensor, " levels"]:
    """Log-weights of the named form, from the previous ones where it has memory."""
    match form:
        case "uniform":
            return uniform(losses)
        case "hard-max":
            return hard_max(losses)
        case "eq17":
            return eq17(log_weights, losses, eta=eta)
        case "algorithm1":
            return algorithm1(log_weights, losses, eta=eta)
        case "released":
            return released(losses, eta=eta)


class PrefixWeights(nn.Module):
    """Prefix weights that follow the losses, one update a window of batches.

    A batch may be a part of a micro-batch, so losses are collected over a window: a micro-batch or
    an optimiser step. Each batch adds its losses, summed over all processes, and gets the weights
    that one update from the window's start gives for the mean losses so far. When the next window
    opens, the last of these are its start. So a window in one batch is exactly the paper's update,
    made from the batch's own losses before the loss is formed, and a window in several carries
    forward exactly what it would in one. Every process must call `forward` equally often, with the
    same number of levels.

    In evaluation mode nothing is updated: the weights are those of the last training batch, equal
    ones before the first, so a loss over a whole set does not depend on how the set is cut.

    Args:
        form: Which of this module's functions; `STATEFUL_FORMS` have memory.
        eta: Step size of the exponent, per nat (per share of the loss for `algorithm1`).
        update_every: What a window is; while `begin_update` is never called, each batch is one.
        prefixes: Lengths that carry weight, from 1, ascending; None for all.
        max_levels: Levels that there is room for; fixed, so that a checkpoint fits any data.
    """

    window_start: Float[Tensor, " max_levels"]
    log_weights: Float[Tensor, " max_levels"]
    window_losses: Float[Tensor, "2 max_levels"]
    index: Int64[Tensor, " chosen"]

    def __init__(
        self,
        form: WeightForm,
        *,
        eta: float,
        update_every: UpdateEvery = "micro_batch",
        prefixes: tuple[int, ...] | None = None,
        max_levels: int = 16,
    ) -> None:
        super().__init__()
        self.form: WeightForm = form
        self.eta = eta
        self.update_every: UpdateEvery = update_every
        self.prefixes = prefixes
        self.max_levels = max_levels
        self._opens_window = True
        self.register_buffer("window_start", torch.zeros(max_levels))
        self.register_buffer("log_weights", torch.zeros(max_levels))
        self.register_buffer("window_losses", torch.zeros(2, max_levels))  # sums, then counts
        lengths = torch.tensor(prefixes or range(1, max_levels + 1))
        self.register_buffer("index", lengths - 1, persistent=False)

    def begin_update(self, micro_batch: bool, step: bool) -> None:
        """Told before a batch: whether it opens a micro-batch, and whether an optimiser step."""
        self._opens_window = step if self.update_every == "step" else micro_batch

    def forward(
        self, losses: Float[Tensor, "batch levels"], exists: Bool[Tensor, "batch levels"]
    ) -> Float[Tensor, " levels"]:
        """The weights for this batch: >= 0, sum 1, 0 at lengths not chosen; no gradient.

        Args:
            losses: Of every target and prefix length, in nats.
            exists: Whether the target has that length. A level's loss is the mean over those that
                do, and 0 where none does.

        Raises:
            ValueError: If there are more levels than `max_levels`, or fewer than a chosen prefix.
        """
        chosen = self.chosen(losses.shape[1])
        detached = losses.detach().to(self.log_weights.dtype)
        totals = torch.stack([torch.where(exists, detached, 0.0).sum(0), exists.sum(0)])
        if self.training:
            self._update(totals, chosen)
        weights = detached.new_zeros(losses.shape[1])
        current = self.log_weights[chosen].softmax(0)
        return weights.index_copy(0, chosen, current).to(losses.dtype)

    def _update(self, totals: Float[Tensor, "2 levels"], chosen: Int64[Tensor, " chosen"]) -> None:
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(totals)
        if self._opens_window:
            self.window_start.copy_(self.log_weights)
            self.window_losses.zero_()
        levels = totals.shape[1]
        self.window_losses[:, :levels] += totals
        updated = self._apply_form(self.window_losses, chosen)
        # The largest is kept at 0: float32 then resolves small moves, and long runs stay in range.
        largest = updated.max()
        self.log_weights.copy_(self.window_start - largest)
        self.log_weights.index_copy_(0, chosen, updated - largest)

    def _apply_form(
        self, totals: Float[Tensor, "2 any_levels"], chosen: Int64[Tensor, " chosen"]
    ) -> Float[Tensor, " chosen"]:
        sums, counts = totals[:, chosen].unbind(0)
        mean_losses = sums / counts.clamp(min=1)
        start = self.window_start[chosen]
        return update_log_weights(self.form, start, mean_losses, eta=self.eta)

    def chosen(self, levels: int) -> Int64[Tensor, " chosen"]:
        """Places of the chosen lengths among `levels` of them.

        Raises:
            ValueError: If there are more levels than `max_levels`, or fewer than a chosen prefix.
        """
        if levels > self.max_levels:
            raise ValueError(
                f"items have {levels} levels and max_levels={self.max_levels}: "
                f"set the objective's max_levels to at least {levels}, or max_prefixes to fewer"
            )
        if self.prefixes is None:
            return self.index[:levels]
        if self.prefixes[-1] > levels:
            raise ValueError(
                f"prefixes={self.prefixes} must lie in 1..{levels}, the levels of the items: "
                "drop the longer ones"
            )
        return self.index
