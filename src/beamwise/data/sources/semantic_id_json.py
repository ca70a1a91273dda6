"""Source `semantic-id-json`: the JSON triple in which semantic-ID data sets are published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import NonNegativeInt

from beamwise.config import Config
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import k_core
from beamwise.data.interactions import Interactions
from beamwise.data.item_texts import clean_text
from beamwise.data.json_objects import read_json_object

CODE_TOKEN = re.compile(r"<[A-Za-z]_([0-9]{1,6})>")
TEXTS = ("title", "description", "brand", "categories")


class SemanticIdJsonConfig(Config):
    """A folder with `*.inter.json`, `*.index*.json` and, where texts are known, `*.item.json`."""

    name: Literal["semantic-id-json"] = "semantic-id-json"
    folder: Path
    """Where the files lie."""
    index_file: str | None = None
    """Name of the index file, needed only where the folder has several."""
    min_interactions: NonNegativeInt = 0
    """Keep the k-core of this k and only its items; 0 keeps all, as published data are filtered."""


def read_semantic_id_json(config: SemanticIdJsonConfig) -> Dataset:
    """Read the triple.

    Items are those of the index file, in its order, also those that nobody took. The files hold no
    times: a timestamp is the position in what is kept of the user's list. A user with an empty list
    is refused, for it is a sign of a cut or wrongly filtered file. HTML entities in texts are
    unescaped; a title that is missing or empty is null.

    Raises:
        ValueError: One line that names the file, the value and the fix.
    """
    if not config.folder.is_dir():
        raise ValueError(
            f"no such folder: {config.folder}; give the one with the *.inter.json file"
        )
    inter_file = _find(config.folder, "*.inter.json")
    index_file = _index_file(config)
    has_texts = any(config.folder.glob("*.item.json"))
    item_file = _find(config.folder, "*.item.json") if has_texts else None
    interactions = _read_interactions(inter_file)
    semantic_ids = _read_semantic_ids(index_file)
    _check_codes_known(interactions, semantic_ids, inter_file, index_file)
    items = _read_items(item_file, semantic_ids["item_id"])
    if config.min_interactions:
        interactions = k_core(interactions, config.min_interactions).with_positions()
        taken = interactions.item_ids.implode()
        items = items.filter(pl.col("item_id").is_in(taken))
        semantic_ids = semantic_ids.filter(pl.col("item_id").is_in(taken))
    return Dataset(interactions, items, semantic_ids)


def _find(folder: Path, pattern: str, fix: str = "keep one of them in the folder") -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ValueError(f"no {pattern} in {folder}: add the file or give another folder")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{len(found)} files match {pattern} in {folder} ({names}): {fix}")
    return found[0]


def _index_file(config: SemanticIdJsonConfig) -> Path:
    if config.index_file is None:
        return _find(config.folder, "*.index*.json", fix="choose one with index_file")
    path = config.folder / config.index_file
    if not path.is_file():
        known = ", ".join(sorted(p.name for p in config.folder.glob("*.index*.json"))) or "none"
        raise ValueError(
            f"no index_file {config.index_file!r} in {config.folder}: there is {known}"
        )
    return path


def _read_interactions(path: Path) -> Interactions:
    users = read_json_object(path, "users and their items")
    for user, items in users.items():
        if not isinstance(items, list):
            raise ValueError(f"{path}: user {user!r} has {items!r}: a list of items is needed")
        if not items:
            raise ValueError(f"{path}: user {user!r} has an empty list: drop the user or add items")
        for item in items:
            if not isinstance(item, int | str) or isinstance(item, bool):
                raise ValueError(
                    f"{path}: user {user!r} has item {item!r}: give a number or a text"
                )
    table = pl.DataFrame(
        {"user_id": list(users), "item_id": [[str(i) for i in items] for items in users.values()]},
        schema={"user_id": pl.String, "item_id": pl.List(pl.String)},
    )
    positions = pl.int_ranges(pl.col("item_id").list.len(), dtype=pl.Int64)
    table = table.with_columns(timestamp=positions).explode("item_id", "timestamp")
    try:
        return Interactions.from_table(table)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_semantic_ids(path: Path) -> pl.DataFrame:
    tokens_of = read_json_object(path, "items and their codes")
    first = next(iter(tokens_of))
    codes: list[list[int]] = []
    for item, tokens in tokens_of.items():
        if not isinstance(tokens, list) or not tokens:
            raise ValueError(f"{path}: item {item!r} has {tokens!r}: a list of codes is needed")
        if len(tokens) != len(tokens_of[first]):
            raise ValueError(
                f"{path}: item {item!r} has {len(tokens)} codes, item {first!r} has "
                f"{len(tokens_of[first])}: give all items as many"
            )
        codes.append([_code(path, item, token) for token in tokens])
    return pl.DataFrame(
        {"item_id": list(tokens_of), "codes": codes},
        schema={"item_id": pl.String, "codes": pl.List(pl.Int32)},
    )


def _code(path: Path, item: str, token: object) -> int:
    match = CODE_TOKEN.fullmatch(token) if isinstance(token, str) else None
    if match is None:
        raise ValueError(
            f"{path}: item {item!r} has the code {token!r}: codes are written <letter_number> "
            "with at most 6 digits, as in <a_159>"
        )
    return int(match[1])


def _check_codes_known(
    interactions: Interactions, semantic_ids: pl.DataFrame, inter_file: Path, index_file: Path
) -> None:
    lost = interactions.table.join(semantic_ids, on="item_id", how="anti", maintain_order="left")
    if lost.height:
        raise ValueError(
            f"{inter_file}: item {lost['item_id'][0]!r} of user {lost['user_id'][0]!r} has no code "
            f"in {index_file.name}: add its codes or drop the item"
        )


def _read_items(path: Path | None, item_ids: pl.Series) -> pl.DataFrame:
    if path is None:
        return item_ids.to_frame().with_columns(title=pl.lit(None, dtype=pl.String))
    texts_of = read_json_object(path, "items and their texts")
    for item, texts in texts_of.items():
        if not isinstance(texts, dict):
            raise ValueError(
                f"{path}: item {item!r} has {texts!r}: an object with a title is needed"
            )
    columns = {
        name: [clean_text(texts_of.get(item, {}).get(name)) for item in item_ids] for name in TEXTS
    }
    texts = pl.DataFrame(columns, schema=dict.fromkeys(TEXTS, pl.String))
    return texts.insert_column(0, item_ids)
