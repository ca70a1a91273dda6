"""The report on titles as Markdown."""

import numpy as np

from beamwise.catalog import Catalog
from beamwise.report.title_quality import title_quality_markdown
from beamwise.tokenization.title_quality import measure_titles


def test_all_figures_and_settings_are_told():
    catalog = Catalog.from_tokens(np.array([[2, 3], [2, 4]]), [2, 2], vocab_size=5)
    quality = measure_titles(catalog, ["a", "b"])
    text = title_quality_markdown(quality, "Tokenizer of x", {"model": "tiny", "vocab_size": 300})
    assert text.startswith("# Tokenizer of x\n\n| | |\n| --- | ---: |\n| items | 2 |\n")
    for name, value in quality.facts().items():
        assert f"| {name} | {value} |" in text
    assert "| `model` | `tiny` |\n| `vocab_size` | `300` |\n" in text
    assert text.count("\n\n\n") == 0
