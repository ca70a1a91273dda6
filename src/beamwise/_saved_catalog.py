"""What a saved catalog consists of: its files, and the version that its content has."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Int32

from beamwise.data.parquet_files import read_table

FORMAT = 1
DESCRIPTION_FILE, TOKENS_FILE = "catalog.json", "tokens.parquet"


class SavedCatalog(NamedTuple):
    """A catalog's content; the prefix tree follows from the paths."""

    item_ids: pl.Series
    paths: Int32[np.ndarray, "items levels"]
    """End token included, padded with -1."""
    vocab_size: int
    end_token: int | None
    retired: Bool[np.ndarray, " items"] | None

    @property
    def version(self) -> str:
        """Hash of the content."""
        described = f"{FORMAT} {self.vocab_size} {self.end_token} {self.paths.shape}"
        digest = hashlib.sha256(described.encode())
        digest.update(np.ascontiguousarray(self.paths).tobytes())
        digest.update(self.item_ids.str.join("\x00").item().encode())
        if self.retired is not None:
            digest.update(np.packbits(self.retired).tobytes())
        return digest.hexdigest()[:16]


def write_saved(catalog: SavedCatalog, folder: Path) -> None:
    """Write `tokens.parquet` (a row an item) and `catalog.json` into `folder`, made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    num_items, num_levels = catalog.paths.shape
    tokens = pl.Series("tokens", catalog.paths, dtype=pl.Array(pl.Int32, num_levels))
    table = pl.DataFrame([catalog.item_ids.alias("item_id"), tokens])
    if catalog.retired is not None:
        table = table.with_columns(retired=pl.Series(catalog.retired))
    table.write_parquet(folder / TOKENS_FILE)
    description = {
        "format": FORMAT,
        "version": catalog.version,
        "num_items": num_items,
        "num_levels": num_levels,
        "vocab_size": catalog.vocab_size,
        "end_token": catalog.end_token,
    }
    text = json.dumps(description, indent=1) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def read_saved(folder: Path) -> SavedCatalog:
    """Read what `write_saved` wrote and check it against its recorded version.

    Raises:
        ValueError: If a file is missing or unreadable, or the content is not what was saved.
    """
    recorded, vocab_size, end_token = _read_description(folder / DESCRIPTION_FILE)
    ids, paths, retired = _read_tokens(folder / TOKENS_FILE)
    saved = SavedCatalog(ids, paths, vocab_size, end_token, retired)
    if saved.version != recorded:
        raise ValueError(
            f"{folder} was changed or cut short: its content has version {saved.version}, "
            f"{DESCRIPTION_FILE} says {recorded}; write the catalog again"
        )
    return saved


def _read_description(path: Path) -> tuple[str, int, int | None]:
    """Version, size of the vocabulary and end token of a saved catalog."""
    if not path.is_file():
        raise ValueError(f"no catalog at {path.parent}: {path.name} is missing; write it again")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        found = description["format"]
        recorded = description["version"]
        vocab_size, end_token = description["vocab_size"], description["end_token"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} does not describe a catalog: write it again") from None
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads {FORMAT}: write it again")
    if not isinstance(vocab_size, int) or not isinstance(end_token, int | None):
        raise ValueError(f"{path}: vocab_size and end_token must be integers: write it again")
    return recorded, vocab_size, end_token


def _read_tokens(path: Path) -> tuple[pl.Series, np.ndarray, np.ndarray | None]:
    """Item ids, their paths, and which are retired."""
    table = read_table(path, fix="write the catalog again")
    kind = table.schema.get("tokens")
    if not isinstance(kind, pl.Array) or kind.inner != pl.Int32 or table.is_empty():
        raise ValueError(f"{path} holds no arrays of int32 tokens: write the catalog again")
    if table.schema.get("item_id") != pl.String or table["item_id"].null_count():
        raise ValueError(f"{path} does not name its items: write the catalog again")
    retired = None
    if "retired" in table.columns:
        if table.schema["retired"] != pl.Boolean or table["retired"].null_count():
            raise ValueError(f"{path}: retired is not true or false everywhere: write it again")
        retired = table["retired"].to_numpy().copy()
    return table["item_id"], np.ascontiguousarray(table["tokens"].to_numpy()), retired
