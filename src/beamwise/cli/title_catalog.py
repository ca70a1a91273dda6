"""What `beamwise tokenize` says of a catalog of titles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beamwise.cli.output import message, print_facts, print_json, print_next
from beamwise.cli.title_training import training_command
from beamwise.data.dataset import CATALOG_FOLDER, QUALITY_FOLDER
from beamwise.experiments.tokenizer_report import REPORT_FILE
from beamwise.tokenization.title_quality import TitleQuality
from beamwise.tokenization.title_tokenizer import TitlesConfig


def tell_titles(
    folder: Path, config: TitlesConfig, facts: dict[str, Any], quality: TitleQuality, json: bool
) -> None:
    """The catalog of titles, and how to train a language model on it."""
    report = folder / QUALITY_FOLDER / REPORT_FILE
    if json:
        place = {"folder": folder / CATALOG_FOLDER, "report": report}
        print_json(place | facts | {"quality": quality.as_dict()})
        return
    shown = quality.facts() | {name: facts[name] for name in ("vocabulary", "version")}
    retired = {"retired": facts["retired"]} if "retired" in facts else {}
    print_facts(f"titles in {folder / CATALOG_FOLDER}, tokens of {config.model}", shown | retired)
    if quality.sharing_items:
        message(
            f"{quality.sharing_items:,} items share a title with another: nothing can rank one "
            "above the other, so results are counted by title and by item"
        )
    message(f"wrote the report on the titles to {report}")
    print_next([training_command(folder, config)])
