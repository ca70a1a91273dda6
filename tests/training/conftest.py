"""A small shop, prepared and tokenized, and the config of a tiny run on it."""

from pathlib import Path

import pytest

from beamwise.data.sources import read_source
from beamwise.data.sources.simulated_shop import SimulatedShopConfig
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.training.config import RunConfig

TINY = {"dim": 8, "num_heads": 2, "head_dim": 4, "feedforward_dim": 8}
TINY_BACKBONES = {
    "tiger": {"name": "tiger", "num_encoder_layers": 1, "num_decoder_layers": 1, **TINY},
    "llama": {"name": "llama", "num_layers": 1, **TINY},
}


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
