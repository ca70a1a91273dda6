"""The report on a tokenizer, in the dataset folder that it tokenized."""

from __future__ import annotations

import json
from pathlib import Path

from beamwise.config import Config
from beamwise.data.dataset import QUALITY_FOLDER
from beamwise.report.tokenizer_quality import quality_markdown
from beamwise.report.tokenizer_quality_plot import plot_quality
from beamwise.tokenization import Tokenized
from beamwise.tokenization.quality import TokenizerQuality, measure_quality

REPORT_FILE, FIGURES_FILE, PICTURE_FILE = "report.md", "report.json", "report.png"


def write_tokenizer_report(folder: Path, tokenized: Tokenized, config: Config) -> TokenizerQuality:
    """Measure codes and write the report as text, as JSON and as a picture.

    Args:
        folder: The dataset folder; the files go into its folder `quality`.
        tokenized: The codes, and vectors to judge them by where there are any.
        config: The settings that made them, told in the report.
    """
    quality = measure_quality(
        tokenized.codes,
        tokenized.vectors,
        tokenized.codebook_size,
        num_meaningful_levels=tokenized.num_code_levels,
    )
    out = folder / QUALITY_FOLDER
    out.mkdir(exist_ok=True)
    settings = config.model_dump(mode="json")
    title = f"Tokenizer of {folder.resolve().name}"
    markdown = f"{quality_markdown(quality, title, settings)}\n\n![figures]({PICTURE_FILE})\n"
    (out / REPORT_FILE).write_text(markdown, encoding="utf-8")
    figures = {"catalog": tokenized.catalog.version, "settings": settings, **quality.as_dict()}
    text = json.dumps(figures, indent=1, allow_nan=False, ensure_ascii=False)
    (out / FIGURES_FILE).write_text(text + "\n", encoding="utf-8")
    plot_quality(quality, out / PICTURE_FILE)
    return quality
