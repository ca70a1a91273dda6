"""A small dataset folder with texts, and what tells whether a folder was changed."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.tokenization.item_tokenizer import QuantizedConfig

COLOURS, THINGS = ("blue", "red", "green", "black"), ("pen", "lamp", "desk", "chair", "mug", "jar")
TITLES = {f"i{n:02}": f"{COLOURS[n % 4]} {THINGS[n // 4]}" for n in range(24)}


def items_of(titles: dict[str, str | None]) -> pl.DataFrame:
    columns = {"item_id": list(titles), "title": list(titles.values())}
    return pl.DataFrame(columns, schema={"item_id": pl.String, "title": pl.String})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, but for vectors kept by their content."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if path.is_file() and not name.startswith("embeddings/")
    }


@pytest.fixture
def prepare(tmp_path) -> Callable[..., Path]:
    """Write a dataset folder; its 12 users take items 2 apart."""

    def write(
        name: str = "data",
        titles: dict[str, str | None] | None = None,
        codes: list[list[int]] | None = None,
    ) -> Path:
        items = items_of(TITLES if titles is None else titles)
        ids = items["item_id"].to_list()
        rows = [
            (f"u{user}", ids[(user + 2 * step) % len(ids)], step)
            for user in range(12)
            for step in range(6)
        ]
        schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
        table = pl.DataFrame(rows, schema=schema, orient="row")
        published = None
        if codes is not None:
            lists = pl.Series("codes", codes, dtype=pl.List(pl.Int32))
            published = items.select("item_id").with_columns(lists)
        Dataset(Interactions.from_table(table), items, published).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def small() -> QuantizedConfig:
    """Two levels of eight codes."""
    return QuantizedConfig.model_validate(
        {"embedding": {"dim": 6}, "quantizer": {"num_levels": 2, "codebook_size": 8}}
    )
