"""The plan of an experiment as the command line prints it, and the time that it is given."""

from __future__ import annotations

import math
import re

from beamwise.cli.output import message, print_json, print_table
from beamwise.experiments.comparison_plan import Plan
from beamwise.report.numbers import duration

UNITS = {"h": 3600, "m": 60, "s": 1}
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def seconds_of(text: str) -> float:
    """Seconds of a duration as `1h30m`; without end where there is none.

    Raises:
        ValueError: If it is no duration, or none at all.
    """
    if not text:
        return math.inf
    found = DURATION.fullmatch(text)
    parts = found.groups(default="0") if found else ()
    seconds = sum(int(part) * size for part, size in zip(parts, UNITS.values(), strict=False))
    if not seconds:
        raise ValueError(f"--budget must be a time as 9m, 1h30m or 45s, got {text!r}")
    return float(seconds)


def print_plan(plan: Plan, *, brief: bool = False, json: bool = False) -> None:
    """A line a run and the whole; only the whole, on standard error, where `brief`."""
    if json:
        for work in plan.works:
            print_json(work._asdict())
        print_json({"runs": len(plan.works), "done": plan.num_done, **_left(plan)})
        return
    if not brief:
        rows = [
            (work.label, work.state, _time(work.training_seconds), _time(work.testing_seconds))
            for work in plan.works
        ]
        print_table("runs, and what is left of each", ("run", "state", "training", "test"), rows)
    message(f"{plan.num_done} of {len(plan.works)} runs are done{_rest(plan)}")


def _rest(plan: Plan) -> str:
    if plan.num_done == len(plan.works):
        return ""
    if not plan.seconds:
        return "; how long the others take was never timed: --plan does that"
    left = f"; left: {duration(plan.seconds)} of one process"
    if not plan.is_complete:
        return f"{left}, all epochs counted, but not what was never timed"
    return f"{left} at most, all epochs counted"


def _left(plan: Plan) -> dict[str, float | bool]:
    return {"seconds_left": plan.seconds, "all_timed": plan.is_complete}


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "not timed yet"
    return duration(seconds) if seconds else ""
