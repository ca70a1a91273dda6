"""What an experiment asks of its settings, looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from beamwise.experiments.comparison_config import ComparisonConfig

PRINTED_KS = (10, 20)


def nothing(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Of an experiment that takes any settings."""


def check_printed_cutoffs(config: ComparisonConfig, methods: Sequence[str]) -> None:  # noqa: ARG001
    """Refuse settings without the cutoffs that the paper prints.

    Raises:
        ValueError: If 10 or 20 is not among `evaluation.ks`.
    """
    ks = config.evaluation.ks
    if lacking := [k for k in PRINTED_KS if k not in ks]:
        raise ValueError(
            f"the paper prints metrics at {lacking[0]}, and evaluation.ks is {list(ks)}: add that "
            "cutoff, as --set evaluation.ks=[10,20]"
        )


def check_reports(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings under which no method gets a survival report.

    Raises:
        ValueError: If none of the methods is among `survival_of`.
    """
    if not set(methods) & set(config.survival_of):
        raise ValueError(
            f"{config.title} is made of survival reports, and survival_of is "
            f"{list(config.survival_of)}, none of {', '.join(methods)}: add one of them"
        )
