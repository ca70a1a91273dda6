"""Words and numbers of the report on a comparison of training methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beamwise.evaluation.significance import Interval, PairedTest

ABSENT = "-"
SMALLEST_P = 0.001
FINE_P = 0.1
"""Up to here p has three digits."""
MINUTE, HOUR = 60, 3600

HOW_TO_READ = (
    "{users:,} test users, beam of {beam_width}, every method with the same data, model and "
    "schedule unless its settings say otherwise. Epochs, and settings where several were tried, "
    "were chosen by the validation targets ({selection}); the test targets were ranked once, by "
    "beam search and by exact ranking of the whole catalog, and count by semantic ID.\n\n"
    "First line of a cell: mean over seeds, 95 % interval, standard deviation of the seeds' means. "
    "Second line: difference to {baseline}, 95 % interval, p after Holm's correction over the "
    "{others} comparisons of the column; bold where p < .05. Intervals and p are for users like "
    "these and further seeds ({resamples:,} paired resamples of users, errors of seeds by "
    "Student's t); of a method with one seed they are for that seed alone. They are conditional on "
    "the data, the split and the settings. Columns are views of the same rankings, "
    "not independent evidence."
)
BESIDE_THE_PAPER = (
    "Printed figures first, ours below, under beam search and counted by ID. A row is reproduced "
    "where every printed figure lies within our 95 % interval or below it; it has the direction "
    "only where all differences to the baseline have the printed ones' signs."
)
WHAT_IMPROVED = (
    "Recall under beam search is recall under exact ranking (the model) plus what the beam changes "
    "(survival: targets that it returns only because it pruned better items, minus targets that it "
    "pruned). So a difference under beam search is the sum of the two; each is tested by itself."
)
SETTINGS_TRIED = (
    "Judged by the best {selection} on the validation targets, mean over the seeds tried; bold is "
    "what was chosen. Test targets were ranked for the chosen settings only. A method without a "
    "table here was trained with one setting, that of its source."
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the rest to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


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


def interval_text(values: Interval | PairedTest, written: Callable[[float], str]) -> str:
    """[low, high]."""
    return f"[{written(values.low)}, {written(values.high)}]"


def p_text(p: float) -> str:
    """Two or three digits; what is smaller as a bound."""
    if p < SMALLEST_P:
        return "< .001"
    text = f"{p:.3f}" if p < FINE_P else f"{p:.2f}"
    return text.removeprefix("0")


def duration(seconds: float | None) -> str:
    """In seconds, minutes or hours."""
    if seconds is None:
        return ABSENT
    if seconds < 2 * MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / MINUTE:.1f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
