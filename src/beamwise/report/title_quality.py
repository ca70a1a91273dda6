"""What a title catalog asks of a model, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from beamwise.tokenization.title_quality import WIDE, TitleQuality

MEANING = (
    "Each distinct title counts once. At a *forced* step the catalog allows one token only: with "
    "the mask before the softmax it has probability 1 and costs nothing. At a *branching* step the "
    f"model chooses; among more than {WIDE} children a beam of {WIDE} cannot keep all. Items that "
    "share a title get equal scores: nothing can rank one above the other. A title that others "
    "begin with is told apart by the end token."
)


def title_quality_markdown(
    quality: TitleQuality, title: str, settings: Mapping[str, object]
) -> str:
    """The whole report.

    Args:
        quality: The figures.
        title: Heading; one line.
        settings: What made the tokens, by name.
    """
    rows = [f"| {name} | {value} |" for name, value in quality.facts().items()]
    chosen = [f"| `{name}` | `{value}` |" for name, value in settings.items()]
    blocks = [
        f"# {title}",
        "\n".join(["| | |", "| --- | ---: |", *rows]),
        MEANING,
        "## Settings",
        "\n".join(["| setting | value |", "| --- | --- |", *chosen]),
    ]
    return "\n\n".join(blocks) + "\n"
