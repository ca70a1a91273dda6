"""A small shop, prepared and tokenized, and the config of a tiny run on it."""

from pathlib import Path

import pytest

from beamwise.data.sources import read_source
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.testing.tiny_language_models import tiny_model
from beamwise.tokenization import tokenize
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer
from beamwise.training.config import RunConfig

TINY = {"dim": 8, "num_heads": 2, "head_dim": 4, "feedforward_dim": 8}
TINY_BACKBONES = {
    "tiger": {"name": "tiger", "num_encoder_layers": 1, "num_decoder_layers": 1, **TINY},
    "llama": {"name": "llama", "num_layers": 1, **TINY},
}
TINY_LLM = {"dim": 8, "num_layers": 1, "num_heads": 2, "feedforward_dim": 8}


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory) -> Path:
    dataset = read_source(SimulatedShopConfig(num_users=60, seed=5))
    folder = tmp_path_factory.mktemp("data") / "shop"
    dataset.save(folder)
    catalog_from_semantic_ids(dataset).save(folder / "catalog")
    return folder


@pytest.fixture
def make_config(shop_folder, tmp_path):
    """A run of two short epochs; keyword arguments replace groups of settings."""

    def make(**groups) -> RunConfig:
        training = {"epochs": 2, "batch_size": 64, "micro_batch_size": 16, "chunk_size": 8}
        training |= {"learning_rate": 0.01, "checkpoint_steps": 2, "log_steps": 1}
        backbone = groups.pop("backbone", {})
        settings = {
            "out": tmp_path / "run",
            "data": {"folder": shop_folder},
            "backbone": {**TINY_BACKBONES[backbone.get("name", "tiger")], **backbone},
            "training": training | groups.pop("training", {}),
            "negatives": {"count": 6},
            "early_stopping": {"metric": "loss"},
        }
        return RunConfig.model_validate(settings | groups)

    return make


@pytest.fixture(scope="module")
def titles(tmp_path_factory):
    """A small shop whose items are their titles."""
    folder = tmp_path_factory.mktemp("titles") / "shop"
    read_simulated_shop(SimulatedShopConfig(num_users=8, num_items=200, seed=5)).save(folder)
    tokenize(folder, TitlesConfig(vocab_size=400))
    return folder


@pytest.fixture(scope="module")
def base(titles, tmp_path_factory):
    """A model in a folder, with the tokenizer of the titles."""
    folder = tmp_path_factory.mktemp("base") / "model"
    tokenizer = TitleTokenizer.load(titles / "tokenizer")
    tiny_model(vocab_size=tokenizer.vocab_size).save_pretrained(folder)
    tokenizer.text.save_pretrained(folder)
    return folder


@pytest.fixture
def make(titles, tmp_path):
    """A run of one epoch of about two steps; keyword arguments replace groups of settings."""

    def made(out="run", backbone=None, **groups):
        training = {"epochs": 1, "batch_size": 64, "learning_rate": 0.02, "log_steps": 1}
        settings = {
            "out": tmp_path / out,
            "data": {"folder": titles, "max_history": 3},
            "backbone": {
                "name": "pretrained", "tiny": TINY_LLM, "prompt": {"template": "{history}\n"},
            } | (backbone or {}),
            "training": training | groups.pop("training", {}),
            "negatives": {"count": 3},
            "early_stopping": {"metric": "loss"},
            "evaluation": {"ks": [5], "beam_width": 5},
        }  # fmt: skip
        return RunConfig.model_validate(settings | groups)

    return made


def lora(base, **settings):
    """Settings of a backbone that adapts a model."""
    return {"model": str(base), "lora": {"r": 2, "dropout": 0.2} | settings}


def pointers(module, trained):
    """Where trained or frozen tensors lie, by name."""
    return {
        name: parameter.data_ptr()
        for name, parameter in module.named_parameters()
        if ("lora_" in name) == trained
    }
