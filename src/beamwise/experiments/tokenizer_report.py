"""The report on a tokenizer, in the dataset folder that it tokenized."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog
from beamwise.data.dataset import QUALITY_FOLDER, TOKENIZER_FOLDER
from beamwise.report.title_quality import title_quality_markdown
from beamwise.report.tokenizer_quality import quality_markdown
from beamwise.report.tokenizer_quality_plot import plot_quality
from beamwise.tokenization import AnyTokenizerConfig, Tokenized
from beamwise.tokenization.codes import codes_of
from beamwise.tokenization.fitted import fitted_config
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.quality import TokenizerQuality, measure_quality
from beamwise.tokenization.quality_warnings import MadeBy
from beamwise.tokenization.semantic_ids import SemanticIdsConfig
from beamwise.tokenization.title_quality import TitleQuality, measure_titles
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer

REPORT_FILE, FIGURES_FILE, PICTURE_FILE = "report.md", "report.json", "report.png"


def write_tokenizer_report(
    folder: Path, tokenized: Tokenized, config: AnyTokenizerConfig
) -> TokenizerQuality:
    """Measure codes and write the report as text, as JSON and as a picture.

    Args:
        folder: The dataset folder; the files go into its folder `quality`.
        tokenized: The codes, and vectors to judge them by where there are any.
        config: The settings that made them, told in the report.
    """
    assert tokenized.codebook_size is not None
    quality = measure_quality(
        tokenized.codes,
        tokenized.vectors,
        tokenized.codebook_size,
        num_meaningful_levels=tokenized.num_code_levels,
        made_by=made_by(config),
    )
    settings = config.model_dump(mode="json")
    _write(folder, quality, tokenized.catalog, settings)
    return quality


def write_title_report(folder: Path, catalog: Catalog) -> TitleQuality:
    """Measure titles and write the report as text and as JSON.

    Args:
        folder: The dataset folder, with its tokenizer of titles; the files go into `quality`.
        catalog: The one in it.

    Raises:
        ValueError: If the folder's tokenizer is damaged.
    """
    tokenizer = TitleTokenizer.load(folder / TOKENIZER_FOLDER)
    quality = measure_titles(catalog, tokenizer.titles_of(catalog))
    settings = tokenizer.config.model_dump(mode="json")
    out = _made(folder)
    text = title_quality_markdown(quality, _heading(folder), settings)
    (out / REPORT_FILE).write_text(text, encoding="utf-8")
    figures = {"catalog": catalog.version, "settings": settings, **quality.as_dict()}
    _write_json(out / FIGURES_FILE, figures)
    return quality


def write_later_report(folder: Path, catalog: Catalog) -> TokenizerQuality | TitleQuality:
    """The report on tokens of which some came after their tokenizer was fitted, without vectors.

    Args:
        folder: A dataset folder that `tokenize_like` or `change_items` changed.
        catalog: The one in it.

    Raises:
        ValueError: If the folder's tokenizer is damaged.
    """
    config = fitted_config(folder / TOKENIZER_FOLDER)
    if isinstance(config, TitlesConfig):
        return write_title_report(folder, catalog)
    num_levels = catalog.num_levels - (catalog.end_token is not None)
    codebook_size = (catalog.vocab_size - NUM_SPECIAL_TOKENS) // num_levels
    suffix = config is not None and config.collisions == "suffix"
    origin = MadeBy(None) if config is None else made_by(config)
    quality = measure_quality(
        codes_of(catalog, codebook_size),
        None,
        codebook_size,
        num_meaningful_levels=num_levels - suffix,
        made_by=replace(origin, is_extended=config is not None),
    )
    _write(folder, quality, catalog, {} if config is None else config.model_dump(mode="json"))
    return quality


def note_same_codes(folder: Path, catalog: Catalog) -> None:
    """Say in a report that it is of a catalog too whose tokens are those that it was made for.

    Where there is no readable report it is made anew.
    """
    path = folder / QUALITY_FOLDER / FIGURES_FILE
    figures: dict[str, Any] = {}
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        fits = figures["num_items"] == catalog.num_items
    except (OSError, ValueError, KeyError, TypeError):
        fits = False
    if fits:
        _write_json(path, figures | {"catalog": catalog.version})
    else:
        write_later_report(folder, catalog)


def made_by(config: AnyTokenizerConfig) -> MadeBy:
    """What warnings on codes need to know of their settings."""
    if isinstance(config, QuantizedConfig):
        quantizer = config.quantizer
        return MadeBy(quantizer.name, config.collisions, quantizer.balanced, config.embedding.name)
    embedding = config.embedding.name if isinstance(config, SemanticIdsConfig) else None
    return MadeBy(None, embedding=embedding)


def _write(
    folder: Path, quality: TokenizerQuality, catalog: Catalog, settings: dict[str, Any]
) -> None:
    out = _made(folder)
    markdown = (
        f"{quality_markdown(quality, _heading(folder), settings)}\n\n![figures]({PICTURE_FILE})\n"
    )
    (out / REPORT_FILE).write_text(markdown, encoding="utf-8")
    figures = {"catalog": catalog.version, "settings": settings, **quality.as_dict()}
    _write_json(out / FIGURES_FILE, figures)
    plot_quality(quality, out / PICTURE_FILE)


def _made(folder: Path) -> Path:
    out = folder / QUALITY_FOLDER
    out.mkdir(exist_ok=True)
    return out


def _heading(folder: Path) -> str:
    return f"Tokenizer of {folder.resolve().name}"


def _write_json(path: Path, figures: dict[str, Any]) -> None:
    text = json.dumps(figures, indent=1, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
