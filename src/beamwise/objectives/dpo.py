"""Direct preference optimisation (DPO): the target is preferred to each negative by itself."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from beamwise.objectives.preference import (
    Preference,
    PreferenceConfig,
    negative_log_ratios,
    negative_shares,
)


def dpo_loss(
    log_ratios: Float[Tensor, "batch candidates"],
    counts: Bool[Tensor, "batch candidates"] | None = None,
    log_weights: Float[Tensor, "batch candidates"] | None = None,
    *,
    beta: float,
) -> Float[Tensor, " batch"]:
    """DPO (arXiv:2305.18290, Eq. 7), averaged over the negatives; with one it is the paper's.

    With r[c] = log pi(c | history) - log pi_ref(c | history) and candidate 0 the target:

        loss = mean_{c > 0 that counts} -log sigmoid(beta * (r[0] - r[c]))

    Args:
        log_ratios: r, in nats, column 0 the target.
        counts: Which negatives count; all where None. Column 0 is not read.
        log_weights: Log of the weights v of a weighted mean, sum(v * .) / sum(v), such as those
            that sampling asks for; equal ones change nothing. Column 0 is not read.
        beta: Factor of the log-ratios, > 0.

    Returns:
        Loss per target, in nats; 0 with zero gradient where no negative counts.

    Raises:
        ValueError: If there are no negatives.
    """
    others = negative_log_ratios(log_ratios, counts)
    losses = softplus(beta * (others - log_ratios[:, :1]))
    return (negative_shares(log_ratios, counts, log_weights) * losses).sum(1)


class DPOConfig(PreferenceConfig):
    """Settings of `dpo`."""

    name: Literal["dpo"] = "dpo"


class DPO(Preference):
    """`dpo_loss`, alone or beside cross-entropy."""

    Config = DPOConfig
    preference_loss = staticmethod(dpo_loss)
