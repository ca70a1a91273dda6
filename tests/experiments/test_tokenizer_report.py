"""The report on a tokenizer says the same as text, as JSON and as a picture."""

import json

import numpy as np
import pytest

from beamwise.catalog import Catalog
from beamwise.config import write_config
from beamwise.data.dataset import Dataset
from beamwise.data.sources import SimulatedShopConfig, read_source
from beamwise.experiments.tokenizer_report import (
    made_by,
    note_same_codes,
    write_later_report,
    write_title_report,
    write_tokenizer_report,
)
from beamwise.tokenization import TitlesConfig, Tokenized, tokenize
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.quality import measure_quality
from beamwise.tokenization.quality_warnings import MadeBy
from beamwise.tokenization.semantic_ids import SemanticIdsConfig

CODES = np.array([[n // 4, n % 4, 0] for n in range(12)] + [[0, 0, 1]], dtype=np.int32)
VECTORS = np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32)


def tokenized(vectors, num_code_levels=2) -> Tokenized:
    return Tokenized(Catalog.from_codes(CODES, 4), 4, num_code_levels, vectors)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my | data").mkdir()
    return tmp_path / "my | data"


@pytest.mark.parametrize("vectors", [VECTORS, None])
def test_three_files_say_the_same(folder, vectors):
    config = QuantizedConfig(end_token=True)
    quality = write_tokenizer_report(folder, tokenized(vectors), config)
    # level 3 tells equal items apart, and is judged as such
    expected = measure_quality(CODES, vectors, 4, num_meaningful_levels=2, made_by=made_by(config))
    assert quality.as_dict() == expected.as_dict()
    out = folder / "quality"
    assert sorted(path.name for path in out.iterdir()) == [
        "report.json",
        "report.md",
        "report.png",
    ]
    figures = json.loads((out / "report.json").read_text())
    assert figures.pop("catalog") == tokenized(vectors).catalog.version
    assert figures.pop("settings") == config.model_dump(mode="json")
    assert figures == json.loads(json.dumps(expected.as_dict()))
    assert figures["num_meaningful_levels"] == 2
    text = (out / "report.md").read_text()
    assert text.startswith("# Tokenizer of my | data\n")
    assert "`quantizer.codebook_size`" in text
    assert "![figures](report.png)" in text
    assert ("Not measured" in text) == (vectors is None)
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_later_report_takes_the_place_of_the_earlier(folder):
    write_tokenizer_report(folder, tokenized(None), QuantizedConfig())
    write_tokenizer_report(folder, tokenized(VECTORS, 3), QuantizedConfig())
    figures = json.loads((folder / "quality" / "report.json").read_text())
    assert figures["num_meaningful_levels"] == 3
    assert figures["neighbourhood"] is not None


def test_one_item(folder):
    catalog = Catalog.from_codes(np.zeros((1, 1), dtype=np.int32), 1)
    one = Tokenized(catalog, 1, 1, np.zeros((1, 2), dtype=np.float32))
    assert write_tokenizer_report(folder, one, QuantizedConfig()).use.num_items == 1


def figures_in(folder):
    return json.loads((folder / "quality" / "report.json").read_text())


@pytest.mark.parametrize("collisions", ["suffix", "share"])
def test_later_codes_are_measured_without_vectors(folder, collisions):
    config = QuantizedConfig(collisions=collisions, end_token=True)
    (folder / "tokenizer").mkdir()
    write_config(config, folder / "tokenizer" / "config.yaml")
    write_tokenizer_report(folder, tokenized(VECTORS), config)
    codes = np.concatenate([CODES, np.zeros((20, 3), dtype=np.int32)])
    catalog = Catalog.from_codes(codes, 4, end_token=True)
    quality = write_later_report(folder, catalog)
    figures = figures_in(folder)
    assert figures["catalog"] == catalog.version
    assert (figures["num_items"], figures["codebook_size"]) == (33, 4)
    assert figures["num_meaningful_levels"] == 3 - (collisions == "suffix")
    assert figures["neighbourhood"] is None
    assert figures["settings"] == config.model_dump(mode="json")
    (warning,) = [each for each in quality.warnings if "ID of an earlier" in each.what]
    assert warning.remedy.startswith("fitted codebooks cannot grow")
    assert f"collisions={collisions}" not in warning.remedy


def test_of_the_same_codes_the_report_stays(folder):
    made = tokenized(VECTORS)
    write_tokenizer_report(folder, made, SemanticIdsConfig())
    before = figures_in(folder)
    retired = made.catalog.with_retired(["3"])
    note_same_codes(folder, retired)
    assert figures_in(folder) == before | {"catalog": retired.version}
    assert before["neighbourhood"] is not None
    for damage in ("{", "[]", "{}"):
        (folder / "quality" / "report.json").write_text(damage)
        note_same_codes(folder, retired)
        figures = figures_in(folder)
        assert (figures["catalog"], figures["num_items"]) == (retired.version, 13)


def test_what_made_codes():
    settings = {"quantizer": {"name": "rq-vae", "balanced": True}, "embedding": {"name": "minilm"}}
    config = QuantizedConfig.model_validate(settings | {"collisions": "share"})
    assert made_by(config) == MadeBy("rq-vae", "share", True, "minilm")
    assert made_by(SemanticIdsConfig()) == MadeBy(None, embedding="tfidf-svd")


def test_titles_have_a_report_of_their_own(tmp_path):
    folder = tmp_path / "titles"
    shop: Dataset = read_source(SimulatedShopConfig(num_users=20, num_items=200))
    shop.save(folder)
    catalog = tokenize(folder, TitlesConfig(vocab_size=300)).catalog
    quality = write_title_report(folder, catalog)
    figures = json.loads((folder / "quality" / "report.json").read_text())
    assert figures.pop("catalog") == catalog.version
    assert figures.pop("settings") == TitlesConfig(vocab_size=300).model_dump(mode="json")
    assert figures == quality.as_dict()
    assert figures["num_items"] == 200
    text = (folder / "quality" / "report.md").read_text()
    assert text.startswith("# Tokenizer of titles\n")
    assert "| items | 200 |" in text
    assert sorted(path.name for path in (folder / "quality").iterdir()) == [
        "report.json",
        "report.md",
    ]
    assert write_later_report(folder, catalog).as_dict() == quality.as_dict()
    retired = catalog.with_retired(catalog.item_ids.head(1))
    note_same_codes(folder, retired)
    noted = json.loads((folder / "quality" / "report.json").read_text())
    assert noted["catalog"] == retired.version
    assert noted["num_items"] == 200
