"""`beamwise prepare`: from a source of data to a dataset folder."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from beamwise.cli.output import (
    message,
    print_facts,
    print_histogram,
    print_json,
    print_next,
    print_settings,
)
from beamwise.cli.parameters import Flag, Json, Settings, ShowSettings, setting
from beamwise.config import Config, ConfigError, read_config
from beamwise.data.card import DataCard, data_card, write_card
from beamwise.data.dataset import (
    CATALOG_FOLDER,
    TOKENIZER_FOLDER,
    Dataset,
    check_replaceable,
)
from beamwise.data.published_statistics import data_set_name, published_check
from beamwise.data.sources import SOURCES

Columns = Annotated[tuple[str, ...], Parameter(name="--column", negative="", show_default=False)]
ItemColumns = Annotated[
    tuple[str, ...], Parameter(name="--item-column", negative="", show_default=False)
]


MAY_BE_NULL = (("columns", "timestamp"), ("item_columns", "title"))
"""Groups and names of columns that a file may lack."""


def prepare(
    source: str,
    path: Path | None = None,
    /,
    *,
    out: Path | None = None,
    items: Path | None = None,
    column: Columns = (),
    item_column: ItemColumns = (),
    overwrite: Flag = False,
    config: Path | None = None,
    settings: Settings = (),
    show_settings: ShowSettings = False,
    json: Json = False,
) -> None:
    """Read a source of data, write it as a dataset folder, and describe it in a data card.

    The sources amazon, yelp and movielens keep the 5-core if not told otherwise; --set
    min_interactions=0 keeps all. The others, table too, keep all if not told otherwise.

    For example:

      beamwise prepare table sales.csv --items products.csv --out data/mine
      beamwise prepare table log.parquet --column user_id=buyer --column item_id=sku --out data/log
      beamwise prepare amazon reviews_Beauty_5.json.gz --items meta_Beauty.json.gz --out data/beauty
      beamwise prepare movielens downloads/ml-1m --set min_rating=4 --out data/movies
      beamwise prepare semantic-id-json downloads/office --out data/office
      beamwise prepare title-windows downloads/toy --out data/toy-titles
      beamwise prepare simulated-shop --set seed=3 --out data/shop
      beamwise prepare table --settings

    Args:
        source: table (a CSV, TSV, Parquet or JSON-lines file of your own), amazon, yelp, movielens,
            semantic-id-json (*.inter.json and *.index.json), title-windows (train.csv, valid.csv,
            test.csv and items.json) or simulated-shop.
        path: File or folder to read, for a source that has one.
        out: Folder to write.
        items: File of items and their texts: a table as path is, or the metadata of amazon.
        column: NAME=COLUMN where the file of a table calls user_id, item_id or timestamp otherwise;
            timestamp=null where it has no times. May be repeated.
        item_column: The same for item_id and title of the file of items; title=null where it has no
            titles.
        overwrite: Replace the folder whatever it holds.
        config: YAML file of the source's settings.
        settings: key.path=value of a setting; may be repeated.
        show_settings: List the settings of the source, with defaults and meaning, and do no more.
        json: Print JSON lines on standard output, no tables.
    """
    _check_source(source)
    if show_settings:
        print_settings(f"settings of {source}, for --set", SOURCES[source].config, json=json)
        return
    if out is None:
        raise ValueError("prepare needs a folder to write: add --out DIR")
    mapped = [*_mapped(source, "--column", "columns", column)]
    mapped += _mapped(source, "--item-column", "item_columns", item_column)
    read_from = _source_config(source, path, items, config, [*mapped, *settings])
    read = [value for _, value in read_from if isinstance(value, Path)]
    read += [] if config is None else [config]
    check_replaceable(out, overwrite=overwrite, keep=read)
    dataset = SOURCES[source].read(read_from)
    card = data_card(dataset, published=_published(read_from, dataset), source=read_from)
    lost = [name for name in (CATALOG_FOLDER, TOKENIZER_FOLDER) if (out / name).exists()]
    dataset.save(out, overwrite=overwrite, keep=read)
    write_card(card, out)
    if lost:
        message(f"removed the {' and the '.join(lost)} that was made from the earlier data")
    if json:
        print_json({"source": source, "folder": out, **card.as_dict()})
        return
    _print_card(f"{source} in {out}", card)
    message(f"wrote the data card to {out / 'data_card.md'}")
    for line in _on_targets(card):
        message(line)
    method = " --method titles" if source == "title-windows" else ""
    print_next([f"beamwise tokenize {out}{method}"])


def _print_card(title: str, card: DataCard) -> None:
    print_facts(title, card.facts())
    print_histogram("interactions of a user", "users", card.interactions_per_user.histogram)
    print_histogram("interactions of an item", "items", card.interactions_per_item.histogram)
    for line in card.published:
        message(f"published figures: {line}")


def _on_targets(card: DataCard) -> list[str]:
    """How to use targets that came with the data."""
    if card.split != "published":
        return []
    size = card.notes.get("items_in_the_longest_window")
    history = "" if size is None else f" --set data.max_history={size - 1}"
    lines = [f"the targets came with the data: train with --set data.split.name=published{history}"]
    if not card.targets["validation"]:
        lines.append(
            "no validation part came with them: the latest of the training targets become one "
            "(data.split.validation says how many)"
        )
    return lines


def _published(source: Config, dataset: Dataset) -> tuple[str, ...]:
    """What the papers say of a data set of this name, if they know it."""
    name = data_set_name(source)
    if name is None:
        return ()
    found = dataset.interactions
    check = published_check(name, found.num_users, found.num_items, len(found))
    return () if check is None else (check.message,)


def _mapped(source: str, option: str, group: str, columns: Sequence[str]) -> list[str]:
    """Overrides that name columns, each taken literally but null where there may be none."""
    model = SOURCES[source].config
    if columns and group not in model.model_fields:
        having = [name for name, known in SOURCES.items() if group in known.config.model_fields]
        raise ConfigError(
            f"{option} is for the source {', '.join(having)} only: {source} knows its columns"
        )
    overrides = []
    for text in columns:
        name, _, column = text.partition("=")
        if not name or not column:
            raise ConfigError(f"{option} {text!r} is not NAME=COLUMN: write user_id=customer")
        is_none = column == "null" and (group, name) in MAY_BE_NULL
        overrides.append(f"{group}.{text}" if is_none else setting(f"{group}.{name}", column))
    return overrides


def _check_source(source: str) -> None:
    if source not in SOURCES:
        nearest = difflib.get_close_matches(source, SOURCES, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose one of {', '.join(SOURCES)}"
        if Path(source).exists():
            hint = f"to read that file or folder name its source, as in table {source}"
        raise ValueError(f"unknown source {source!r}; {hint}")


def _source_config(
    source: str, path: Path | None, items: Path | None, config: Path | None, settings: Sequence[str]
) -> Config:
    model, _, path_setting, items_setting = SOURCES[source]
    told = config is not None or any(s.startswith(f"{path_setting}=") for s in settings)
    if path_setting and path is None and not told:
        raise ValueError(
            f"{source} needs a {path_setting}: beamwise prepare {source} PATH --out DIR"
        )
    given = []
    for name, value in ((path_setting, path), (items_setting, items)):
        if value is not None and name is None:
            raise ValueError(f"{source} reads no such file or folder: leave {str(value)!r} out")
        given += [] if value is None or name is None else [setting(name, value)]
    return read_config(model, config, (*given, *settings))
