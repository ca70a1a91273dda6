"""Numbers as reports write them: metrics, differences, shares, p, durations."""

from __future__ import annotations

import math
from collections.abc import Callable

from beamwise.report.section import Estimate, Unit, Value

ABSENT = "-"
SMALLEST_P = 0.001
FINE_P = 0.1
"""Up to here p has three digits."""
COARSE_MS = 0.1
"""Seconds from which milliseconds have no decimals."""
MINUTE, HOUR = 60, 3600
SMALLEST_PLAIN = 0.001
"""Below, a number is written with a power of ten."""
LARGE = 1000
"""From here on a number is written without decimals."""


def decimal(value: float) -> str:
    """Four decimals without the 0 before the point: .0630."""
    text = f"{abs(value):.4f}".removeprefix("0")
    return f"-{text}" if value < 0 and text.strip(".0") else text


def signed(value: float) -> str:
    """As `decimal`, with its sign: +.0018."""
    text = decimal(value)
    return text if text.startswith("-") or not text.strip(".0") else f"+{text}"


def percent(share: float) -> str:
    """One decimal: 23.0 %."""
    return f"{share:.1%}".replace("%", " %")


def p_text(p: float) -> str:
    """Two or three digits; what is smaller as a bound."""
    if p < SMALLEST_P:
        return "< .001"
    text = f"{p:.3f}" if p < FINE_P else f"{p:.2f}"
    return text.removeprefix("0")


def duration(seconds: float | None) -> str:
    """In milliseconds, seconds, minutes or hours; below 0 where an interval reaches there."""
    if seconds is None:
        return ABSENT
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms" if seconds >= COARSE_MS else f"{1000 * seconds:.3g} ms"
    if seconds < 2 * MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / MINUTE:.1f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def count(value: float) -> str:
    """Whole, or a mean of counts with one decimal: 4,905 or 12.5."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def plain(value: float) -> str:
    """Up to four digits, or all before the point: 0.4, 12,345, 5e-05 as 5e-5."""
    size = abs(value)
    if size == 0 or not math.isfinite(value):
        return f"{value + 0.0:.0f}"  # -0 + 0 is 0
    if size >= LARGE:
        return f"{value:,.0f}"
    if size >= SMALLEST_PLAIN:
        return f"{value:.4g}"
    digits, _, power = f"{value:.3e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


WRITTEN: dict[Unit, Callable[[float], str]] = {
    "text": plain,
    "count": count,
    "metric": decimal,
    "difference": signed,
    "share": percent,
    "seconds": duration,
    "p": p_text,
    "number": plain,
}
"""How a number of each unit is written."""


def interval_text(low: float, high: float, written: Callable[[float], str]) -> str:
    """[low, high]."""
    return f"[{written(low)}, {written(high)}]"


def parts_of(value: Value, unit: Unit) -> tuple[str, str]:
    """A cell of a table as text, and its interval, which is empty where there is none."""
    written = WRITTEN[unit]
    if value is None:
        return ABSENT, ""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, Estimate):
        return written(float(value)), ""
    if value.low is None or value.high is None:
        return written(value.mean), ""
    return written(value.mean), interval_text(value.low, value.high, written)


def cell_text(value: Value, unit: Unit) -> str:
    """A cell of a table, with its interval: .0710 [.0690, .0730]."""
    return " ".join(part for part in parts_of(value, unit) if part)
