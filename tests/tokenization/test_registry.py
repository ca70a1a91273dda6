"""The registry of tokenizers, and tokenizing a folder by it."""

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from beamwise.catalog import Catalog
from beamwise.tokenization import TOKENIZERS, AnyTokenizerConfig, tokenize
from beamwise.tokenization.item_ids import ItemIdsConfig
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.semantic_ids import SemanticIdsConfig
from beamwise.tokenization.title_tokenizer import TitlesConfig

from .conftest import contents


def test_names_agree_with_configs_and_the_union_holds_every_tokenizer():
    assert list(TOKENIZERS) == ["semantic-ids", "quantized", "item-ids", "titles"]
    for name, method in TOKENIZERS.items():
        assert method.config.model_fields["name"].default == name
    union = get_args(AnyTokenizerConfig)[0]
    assert set(get_args(union)) == {method.config for method in TOKENIZERS.values()}


def test_a_name_chooses_the_tokenizer():
    adapter = TypeAdapter(AnyTokenizerConfig)
    assert adapter.validate_python({"name": "semantic-ids"}) == SemanticIdsConfig()
    assert adapter.validate_python({"name": "item-ids"}) == ItemIdsConfig()
    assert adapter.validate_python({"name": "titles"}) == TitlesConfig(model="tiny")
    chosen = adapter.validate_python({"name": "quantized", "quantizer": {"num_levels": 2}})
    assert isinstance(chosen, QuantizedConfig)
    assert (chosen.quantizer.name, chosen.quantizer.num_levels) == ("rq-kmeans", 2)
    with pytest.raises(ValidationError):
        adapter.validate_python({"name": "words"})


def test_the_catalog_is_saved(prepare, small):
    folder = prepare(codes=[[n] for n in range(24)])
    for config in (SemanticIdsConfig(), small, ItemIdsConfig()):
        tokenized = tokenize(folder, config)
        assert Catalog.load(folder / "catalog").version == tokenized.catalog.version
        assert (folder / "tokenizer").is_dir() == (config is small)


def test_a_refusal_changes_nothing(prepare, small):
    folder = prepare()
    tokenize(folder, small)
    before = contents(folder)
    with pytest.raises(ValueError, match="has no semantic IDs"):
        tokenize(folder, SemanticIdsConfig())
    assert contents(folder) == before
    with pytest.raises(ValueError, match="no dataset folder"):
        tokenize(folder / "nothing", small)
    assert not (folder / "nothing").exists()
