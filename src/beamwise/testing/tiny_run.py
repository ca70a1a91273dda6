"""A shop of 200 items, and a TIGER or a language model on it that train within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from beamwise.backbones.tiger import TigerConfig
from beamwise.config import changed_config
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.evaluation import EvaluationConfig
from beamwise.tokenization import tokenize
from beamwise.tokenization.embeddings import TfidfSvdConfig
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.quantizers import RQKMeansConfig
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.tokenization.title_tokenizer import TitlesConfig
from beamwise.training.config import DataConfig, RunConfig, TrainingConfig
from beamwise.training.run import train

TINY_SHOP = SimulatedShopConfig(num_users=40, num_items=200)
TINY_TOKENIZER = QuantizedConfig(
    embedding=TfidfSvdConfig(dim=16), quantizer=RQKMeansConfig(num_levels=3, codebook_size=16)
)
"""Makes codes from the shop's texts, and for items that come later."""
TINY_TIGER = TigerConfig(
    dim=8, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=4, feedforward_dim=8
)
TINY_TITLES = (
    "backbone.name=pretrained",
    *(f"backbone.tiny.{size}" for size in ("dim=8", "num_layers=1", "num_heads=2")),
    'backbone.prompt.template="{history}\\n"',
    "data.max_history=5",
    "early_stopping.metric=loss",
    "evaluation.mask=before",
)
"""Settings of a language model of fresh weights, which reads and writes titles."""
TWINS = ("item-0062", "item-0102")
"""Items that share a title in the data of `tiny_title_run`."""
TINY_TRAINING = TrainingConfig(epochs=1, batch_size=64, micro_batch_size=64, chunk_size=64)
TINY_EVALUATION = EvaluationConfig(ks=(5, 10), beam_width=10)


def tiny_data(folder: Path, tokenizer: QuantizedConfig | None = None) -> Path:
    """Write a prepared and tokenized shop into `folder`, and return it.

    Its catalog is that of the planted semantic IDs where no tokenizer is given.
    """
    dataset = read_simulated_shop(TINY_SHOP)
    dataset.save(folder)
    if tokenizer is None:
        catalog_from_semantic_ids(dataset).save(folder / CATALOG_FOLDER)
    else:
        tokenize(folder, tokenizer)
    return folder


def tiny_config(folder: Path, data: Path) -> RunConfig:
    """A run of one epoch on what `tiny_data` wrote, into `folder`."""
    return RunConfig(
        out=folder,
        data=DataConfig(folder=data),
        backbone=TINY_TIGER,
        training=TINY_TRAINING,
        evaluation=TINY_EVALUATION,
    )


def tiny_run(folder: Path, tokenizer: QuantizedConfig | None = None) -> Path:
    """Make data in `folder/data`, train in `folder/run`, and return the run folder."""
    return train(tiny_config(folder / "run", tiny_data(folder / "data", tokenizer)))


def tiny_title_run(folder: Path) -> Path:
    """As `tiny_run`, of a language model on the shop's titles, of which two items share one."""
    shop = read_simulated_shop(TINY_SHOP)
    shared = pl.col("title").filter(pl.col("item_id") == TWINS[1]).first()
    title = pl.when(pl.col("item_id") == TWINS[0]).then(shared).otherwise("title")
    replace(shop, items=shop.items.with_columns(title=title)).save(folder / "data")
    tokenize(folder / "data", TitlesConfig(vocab_size=300))
    config = tiny_config(folder / "run", folder / "data")
    return train(changed_config(config, None, TINY_TITLES))


def tiny_paper_settings() -> list[str]:
    """Overrides that make a comparison of the paper's as small as `TINY_TIGER`."""
    sizes = TINY_TIGER.model_dump(include={"dim", "num_heads", "head_dim", "feedforward_dim"})
    return [
        *(f"settings.backbone.{name}={size}" for name, size in sizes.items()),
        "settings.training.epochs=1",
        "resamples=100",
        "survival.widths=[5,20,100]",
        "survival.timed_users=8",
        "survival.full_sort_users=4",
    ]
