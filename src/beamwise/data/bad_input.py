"""How a file that a user gave is refused: one line with place, value, expectation and fix."""

from __future__ import annotations

from pathlib import Path

MOST_SHOWN = 60
"""Characters of a value that a message repeats."""


def bad_value(
    path: Path, row: int, column: str, value: object, expected: str, fix: str
) -> ValueError:
    """The error for one value of a table.

    Args:
        path: The file as the user named it.
        row: Number of the row, from 1, a header not counted.
        column: The column's name in the file.
        value: What stands there; a long one is cut.
        expected: What was expected there, as in "a whole number".
        fix: What the user can do, as in "drop the row".
    """
    return ValueError(
        f"{path}, row {row}, column {column!r}: {shown(value)} is not {expected}: {fix}"
    )


def bad_file(path: Path, what: str, fix: str) -> ValueError:
    """The error for a file as a whole, as in "is cut short"."""
    return ValueError(f"{path} {what}: {fix}")


def shown(value: object) -> str:
    """A value as a message shows it, cut to `MOST_SHOWN` characters."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
