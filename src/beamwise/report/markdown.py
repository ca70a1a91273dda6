"""Parts of Markdown that reports share."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> str:
    """A table, the columns in `left` to the left and the rest to the right."""
    rule = ["---" if place in left else "---:" for place in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def in_cell(text: str) -> str:
    """Text as it may stand in a cell: on one line, and without an end of the cell."""
    return " ".join(text.split()).replace("|", "\\|")
