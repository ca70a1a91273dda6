"""DPO against several negatives at once (DMPO): the target is preferred to their mean."""

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


def dmpo_loss(
    log_ratios: Float[Tensor, "batch candidates"],
    counts: Bool[Tensor, "batch candidates"] | None = None,
    log_weights: Float[Tensor, "batch candidates"] | None = None,
    *,
    beta: float,
) -> Float[Tensor, " batch"]:
    """DMPO (arXiv:2405.16127): prefer the target to the mean log-ratio of its negatives.

    With r[c] = log pi(c | history) - log pi_ref(c | history) and candidate 0 the target:

        loss = -log sigmoid(beta * r[0] - beta * mean_{c > 0 that counts} r[c])

    Args:
        log_ratios: r, in nats, column 0 the target.
        counts: Which negatives count; all where None. Column 0 is not read.
        log_weights: Log of the weights v of a weighted mean, sum(v * r) / sum(v), such as those
            that sampling asks for; equal ones change nothing. Column 0 is not read.
        beta: Factor of the log-ratios, > 0.

    Returns:
        Loss per target, in nats; 0 with zero gradient where no negative counts.

    Raises:
        ValueError: If there are no negatives.
    """
    others = negative_log_ratios(log_ratios, counts)
    mean = (negative_shares(log_ratios, counts, log_weights) * others).sum(1)
    loss = softplus(beta * (mean - log_ratios[:, 0]))
    return loss if counts is None else loss.masked_fill(~counts[:, 1:].any(1), 0.0)


class DMPOConfig(PreferenceConfig):
    """Settings of `dmpo`."""

    name: Literal["dmpo"] = "dmpo"


class DMPO(Preference):
    """`dmpo_loss`, alone or beside cross-entropy."""

    Config = DMPOConfig
    preference_loss = staticmethod(dmpo_loss)
