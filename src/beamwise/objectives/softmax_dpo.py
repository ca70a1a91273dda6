"""Softmax DPO (S-DPO): the target is preferred to all its negatives at once."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from beamwise.objectives.competition import log_sum_of_counting
from beamwise.objectives.preference import Preference, PreferenceConfig, negative_log_ratios


def softmax_dpo_loss(
    log_ratios: Float[Tensor, "batch candidates"],
    counts: Bool[Tensor, "batch candidates"] | None = None,
    log_weights: Float[Tensor, "batch candidates"] | None = None,
    *,
    beta: float,
) -> Float[Tensor, " batch"]:
    """Softmax DPO (arXiv:2406.09215): prefer the target to all its negatives at once.

    With r[c] = log pi(c | history) - log pi_ref(c | history) and candidate 0 the target:

        loss = -log sigmoid(-log sum_{c > 0 that counts} v[c] * exp(beta * (r[c] - r[0])))

    Computed as softplus(logsumexp(.)), which is the same value and cannot overflow.

    Args:
        log_ratios: r, in nats, column 0 the target.
        counts: Which negatives count; all where None. Column 0 is not read.
        log_weights: log v, such as sampling asks for; v = 1 where None. Column 0 is not read.
        beta: Factor of the log-ratios, > 0.

    Returns:
        Loss per target, in nats; 0 with zero gradient where no negative counts.

    Raises:
        ValueError: If there are no negatives.
    """
    terms = beta * (negative_log_ratios(log_ratios, counts) - log_ratios[:, :1])
    if log_weights is not None:
        terms = terms + log_weights[:, 1:].to(terms.dtype)
    if counts is None:
        return softplus(terms.logsumexp(1))
    return softplus(log_sum_of_counting(terms, counts[:, 1:]))


class SoftmaxDPOConfig(PreferenceConfig):
    """Settings of `s-dpo`."""

    name: Literal["s-dpo"] = "s-dpo"


class SoftmaxDPO(Preference):
    """`softmax_dpo_loss`, alone or beside cross-entropy."""

    Config = SoftmaxDPOConfig
    preference_loss = staticmethod(softmax_dpo_loss)
