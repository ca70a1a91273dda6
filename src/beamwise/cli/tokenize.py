"""`beamwise tokenize`: give every item of a dataset its tokens, and later ones theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from beamwise.catalog import Catalog
from beamwise.cli.output import (
    message,
    print_facts,
    print_json,
    print_next,
    print_settings,
    print_table,
)
from beamwise.cli.parameters import Flag, Json, Settings, ShowSettings, setting
from beamwise.cli.progress import WorkProgress
from beamwise.cli.title_catalog import tell_titles
from beamwise.config import Config, read_config
from beamwise.data.dataset import CATALOG_FOLDER, QUALITY_FOLDER, SEMANTIC_IDS_FILE
from beamwise.data.dataset import read_items as read_dataset_items
from beamwise.data.item_tables import read_items
from beamwise.experiments.tokenizer_report import (
    REPORT_FILE,
    note_same_codes,
    write_later_report,
    write_title_report,
    write_tokenizer_report,
)
from beamwise.tokenization import AnyTokenizerConfig
from beamwise.tokenization import tokenize as tokenize_items
from beamwise.tokenization.item_ids import ItemIdsConfig
from beamwise.tokenization.item_texts import has_texts
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.items_to_add import column_notes, read_items_to_add
from beamwise.tokenization.later_items import change_items, tokenize_like
from beamwise.tokenization.quality import TokenizerQuality
from beamwise.tokenization.semantic_ids import SemanticIdsConfig
from beamwise.tokenization.title_quality import TitleQuality
from beamwise.tokenization.title_tokenizer import TitlesConfig

Method = Literal["semantic-ids", "rq-kmeans", "rq-vae", "item-ids", "titles"]
SETTINGS: dict[Method | None, type[Config]] = {
    "semantic-ids": SemanticIdsConfig,
    "item-ids": ItemIdsConfig,
    "titles": TitlesConfig,
}
"""Settings of the methods that do not make codes from vectors."""
MOST_LEVELS = 8
"""Levels whose prefixes are listed; titles have many more."""


def tokenize(
    folder: Path,
    /,
    *,
    method: Method | None = None,
    codes: Path | None = None,
    codebook_size: int | None = None,
    end_token: Flag = False,
    add: Path | None = None,
    retire: Path | None = None,
    restore: Path | None = None,
    like: Path | None = None,
    config: Path | None = None,
    settings: Settings = (),
    show_settings: ShowSettings = False,
    json: Json = False,
) -> None:
    """Give every item of a dataset its tokens, and report how good they are.

    Later: code new items by the tokenizer fitted before, retire items and restore them. A model
    that was trained before recommends from the new catalog without training.

    For example:

      beamwise tokenize data/mine
      beamwise tokenize data/mine --method rq-vae --set quantizer.num_levels=3
      beamwise tokenize data/mine --set embedding.name=minilm --set collisions=suffix
      beamwise tokenize data/office --end-token --codebook-size 256
      beamwise tokenize data/mine --codes my_codes.csv
      beamwise tokenize data/mine --method item-ids
      beamwise tokenize data/mine --method titles --set model=smollm2
      beamwise tokenize data/mine --add new_items.csv --retire sold_out.csv
      beamwise tokenize data/mine --restore back_in_stock.csv
      beamwise tokenize data/next-month --like runs/first

    Args:
        folder: Dataset folder that prepare wrote; the catalog goes into it.
        method: rq-kmeans or rq-vae make codes from the items; semantic-ids takes those that exist;
            item-ids gives each item one token of its own, so there are no codes to report on;
            titles takes each item's title in the tokens of a language model (--set model=...).
            Where not given: semantic-ids if the data came with codes, else rq-kmeans.
        codes: File of codes that exist: CSV, TSV or Parquet with item_id, or .npy in item order.
        codebook_size: Codes a level.
        end_token: Close every item with an end token, as released code of papers has it.
        add: File of items to add to the catalog: item_id, title and the columns of the others.
        retire: File with the item_id of items to recommend no longer.
        restore: File with the item_id of retired items to recommend again.
        like: Dataset or run folder whose tokenizer and codes are taken; new items are coded by it.
        config: YAML file of the tokenizer's settings.
        settings: key.path=value of a setting; may be repeated.
        show_settings: List the settings of the method, with defaults and meaning, and do no more.
        json: Print JSON lines on standard output, no tables.
    """
    if show_settings:
        model = SETTINGS.get(method, QuantizedConfig)
        print_settings(f"settings of {method or 'rq-kmeans'}, for --set", model, json=json)
        return
    fits = end_token or any(x is not None for x in (method, codes, codebook_size, config))
    files = {"added": add, "retired": retire, "restored": restore}
    changes = {name: path for name, path in files.items() if path is not None}
    if like is not None or changes:
        if fits or (like is not None and changes):
            raise ValueError(
                "--like, and --add with --retire and --restore, go on with a tokenizer as it was "
                "fitted: give the one or the others, and beside them only --set of what may change"
            )
        _follow(folder, changes, like, settings, json)
        return
    chosen = _chosen(folder, method, codes, codebook_size, end_token, config, settings)
    with WorkProgress() as progress:
        tokenized = tokenize_items(folder, chosen, progress)
    facts = describe(tokenized.catalog) | tokenized.facts
    if isinstance(chosen, QuantizedConfig) and chosen.embedding.name == "co-occurrence":
        message("items are near that the same users take (embedding co-occurrence, no texts)")
    _tell_retired(tokenized.catalog)
    if isinstance(chosen, ItemIdsConfig):
        _tell_item_ids(folder, facts, json)
        return
    if isinstance(chosen, TitlesConfig):
        tell_titles(folder, chosen, facts, write_title_report(folder, tokenized.catalog), json)
        return
    quality = write_tokenizer_report(folder, tokenized, chosen)
    report = folder / QUALITY_FOLDER / REPORT_FILE
    if json:
        place = {"folder": folder / CATALOG_FOLDER, "report": report}
        print_json(place | facts | {"quality": quality.as_dict()})
        return
    _print_quality(folder, facts, quality)
    message(f"wrote the report on the codes to {report}")
    print_next([f"beamwise train --preset small --data {folder} --out runs/first"])


def describe(catalog: Catalog) -> dict[str, Any]:
    """Sizes of a catalog; `colliding_items` are those beyond one for each distinct ID."""
    retired = {} if catalog.retired is None else {"retired": int(catalog.retired.sum())}
    return {
        "items": catalog.num_items,
        **retired,
        "levels": catalog.num_levels,
        "distinct_ids": catalog.num_leaves,
        "colliding_items": catalog.num_items - catalog.num_leaves,
        "prefixes_per_level": prefixes_per_level(catalog),
        "vocabulary": catalog.vocab_size,
        "version": catalog.version,
    }


def prefixes_per_level(catalog: Catalog) -> list[int]:
    """Distinct prefixes of every length, from 1 up."""
    return [stop - start for start, stop in pairwise(catalog.level_start[1:])]


def _chosen(
    folder: Path,
    method: Method | None,
    codes: Path | None,
    codebook_size: int | None,
    end_token: bool,
    config: Path | None,
    settings: Sequence[str],
) -> AnyTokenizerConfig:
    """The tokenizer's settings from all the ways to give them."""
    if method in ("item-ids", "titles"):
        if codes is not None or codebook_size is not None or end_token:
            what = "item one token of its own" if method == "item-ids" else "title its end token"
            raise ValueError(
                f"--method {method} gives each {what}: leave out --codes, --codebook-size and "
                "--end-token"
            )
        return read_config(
            ItemIdsConfig if method == "item-ids" else TitlesConfig, config, settings
        )
    exists = codes is not None or (folder / SEMANTIC_IDS_FILE).is_file()
    given = ["end_token=true"] if end_token else []
    if method == "semantic-ids" or (method is None and exists):
        given += [] if codes is None else [setting("file", codes)]
        given += [] if codebook_size is None else [f"codebook_size={codebook_size}"]
        return read_config(SemanticIdsConfig, config, [*given, *settings])
    if codes is not None:
        raise ValueError(f"--codes are codes that exist, --method {method} makes others: choose")
    given += [] if method is None else [f"quantizer.name={method}"]
    given += [] if codebook_size is None else [f"quantizer.codebook_size={codebook_size}"]
    without_texts = not has_texts(read_dataset_items(folder))
    base = {"embedding": {"name": "co-occurrence"}} if without_texts else None
    return read_config(QuantizedConfig, config, [*given, *settings], base)


def _follow(
    folder: Path,
    changes: Mapping[str, Path],
    like: Path | None,
    settings: Sequence[str],
    json: bool,
) -> None:
    """Make a catalog that follows an earlier one, and the report on its codes."""
    if like is not None:
        with WorkProgress() as progress:
            catalog = tokenize_like(folder, like, settings, progress)
        _tell_retired(catalog)
    else:
        catalog = _changed(folder, changes, settings)
    quality = None
    if like is not None or "added" in changes:
        quality = write_later_report(folder, catalog)
    else:
        note_same_codes(folder, catalog)
    facts = describe(catalog)
    report = folder / QUALITY_FOLDER / REPORT_FILE
    if json:
        judged = {} if quality is None else {"quality": quality.as_dict()}
        print_json({"folder": folder / CATALOG_FOLDER, "report": report} | facts | judged)
        return
    _print_catalog(folder, facts)
    if isinstance(quality, TitleQuality):
        print_facts("titles", quality.facts())
    elif quality is not None:
        _print_warnings(quality)
    if quality is not None:
        what = "titles" if isinstance(quality, TitleQuality) else "codes"
        message(f"wrote the report on the {what} to {report}")
    print_next([f"beamwise recommend RUN --data {folder} --user USER_ID"])


def _changed(folder: Path, changes: Mapping[str, Path], settings: Sequence[str]) -> Catalog:
    """Add, retire and restore what the files say."""
    added, notes = None, []
    if "added" in changes:
        items = read_dataset_items(folder)
        added = read_items_to_add(changes["added"], items)
        notes = column_notes(changes["added"], added, items)
    with WorkProgress() as progress:
        catalog = change_items(
            folder,
            added,
            _ids_in(changes.get("retired")),
            settings,
            progress,
            restored=_ids_in(changes.get("restored")),
            files=changes,
        )
    for note in notes:
        message(note)
    return catalog


def _tell_retired(catalog: Catalog) -> None:
    if catalog.retired is not None:
        message(
            f"{int(catalog.retired.sum()):,} items stay retired, as in the catalog before "
            "(--restore FILE puts them back)"
        )


def _ids_in(path: Path | None) -> list[str]:
    if path is None:
        return []
    return read_items(path, {"item_id": "item_id"})["item_id"].to_list()


def _tell_item_ids(folder: Path, facts: dict[str, Any], json: bool) -> None:
    """The catalog of one token an item: there are no codes whose quality could be judged."""
    if json:
        print_json({"folder": folder / CATALOG_FOLDER} | facts)
        return
    _print_catalog(folder, facts)
    message("items that come later (--add) can get no token that a model has learned")
    print_next([f"beamwise train --preset small --data {folder} --out runs/first"])


def _print_catalog(folder: Path, facts: dict[str, Any]) -> None:
    counts = facts["prefixes_per_level"]
    per_level = " ".join(f"{count:,}" for count in counts[:MOST_LEVELS])
    per_level += " ..." if len(counts) > MOST_LEVELS else ""
    title = f"catalog in {folder / CATALOG_FOLDER}"
    print_facts(title, facts | {"prefixes_per_level": per_level})


def _print_quality(folder: Path, facts: dict[str, Any], quality: TokenizerQuality) -> None:
    _print_catalog(folder, facts)
    levels = quality.as_dict()["levels"]
    columns = {
        "level": "level",
        "codes_used": "codes used",
        "perplexity": "perplexity",
        "distinct_prefixes": "distinct prefixes",
        "error": "variance left",
        "lift": "neighbours' lift",
    }
    shown = {key: name for key, name in columns.items() if key in levels[0]}
    rows = [[level.get(key) for key in shown] for level in levels]
    print_table("codes", list(shown.values()), rows)
    _print_warnings(quality)


def _print_warnings(quality: TokenizerQuality) -> None:
    for warning in quality.warnings:
        message(f"warning: {warning.what}; {warning.remedy}")
