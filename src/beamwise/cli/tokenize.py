"""`beamwise tokenize`: give every item of a dataset its tokens, and later ones theirs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from beamwise.catalog import Catalog
from beamwise.cli.output import message, print_facts, print_json, print_next, print_table
from beamwise.cli.parameters import Flag, Json, Settings, setting
from beamwise.cli.progress import WorkProgress
from beamwise.config import read_config
from beamwise.data.dataset import CATALOG_FOLDER, QUALITY_FOLDER, SEMANTIC_IDS_FILE
from beamwise.data.dataset import read_items as read_dataset_items
from beamwise.data.item_tables import read_items
from beamwise.experiments.tokenizer_report import REPORT_FILE, write_tokenizer_report
from beamwise.tokenization import AnyTokenizerConfig
from beamwise.tokenization import tokenize as tokenize_items
from beamwise.tokenization.item_texts import has_texts
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.later_items import change_items, tokenize_like
from beamwise.tokenization.quality import TokenizerQuality
from beamwise.tokenization.semantic_ids import SemanticIdsConfig

Method = Literal["semantic-ids", "rq-kmeans", "rq-vae"]


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
    like: Path | None = None,
    config: Path | None = None,
    settings: Settings = (),
    json: Json = False,
) -> None:
    """Give every item of a dataset its tokens, and report how good they are.

    Later: code new items by the tokenizer fitted before, and retire items. A model that was trained
    before recommends from the new catalog without training.

    For example:

      beamwise tokenize data/mine
      beamwise tokenize data/mine --method rq-vae --set quantizer.num_levels=3
      beamwise tokenize data/mine --set embedding.name=minilm --set collisions=suffix
      beamwise tokenize data/office --end-token --codebook-size 256
      beamwise tokenize data/mine --codes my_codes.csv
      beamwise tokenize data/mine --add new_items.csv --retire sold_out.csv
      beamwise tokenize data/next-month --like runs/first

    Args:
        folder: Dataset folder that prepare wrote; the catalog goes into it.
        method: rq-kmeans or rq-vae make codes from the items; semantic-ids takes those that exist.
            Where not given: semantic-ids if the data came with codes, else rq-kmeans.
        codes: File of codes that exist: CSV, TSV or Parquet with item_id, or .npy in item order.
        codebook_size: Codes a level.
        end_token: Close every item with an end token, as released code of papers has it.
        add: File of items to add to the catalog: item_id, title and the columns of the others.
        retire: File with the item_id of items to recommend no longer.
        like: Dataset or run folder whose tokenizer and codes are taken; new items are coded by it.
        config: YAML file of the tokenizer's settings.
        settings: key.path=value of a setting; may be repeated.
        json: Print JSON lines on standard output, no tables.
    """
    fits = end_token or any(x is not None for x in (method, codes, codebook_size, config))
    if like is not None or add is not None or retire is not None:
        if fits or (like is not None and (add is not None or retire is not None)):
            raise ValueError(
                "--like, and --add with --retire, go on with a tokenizer as it was fitted: "
                "give the one or the others, and beside them only --set of what may change"
            )
        _follow(folder, add, retire, like, settings, json)
        return
    chosen = _chosen(folder, method, codes, codebook_size, end_token, config, settings)
    with WorkProgress() as progress:
        tokenized = tokenize_items(folder, chosen, progress)
    quality = write_tokenizer_report(folder, tokenized, chosen)
    facts = describe(tokenized.catalog) | tokenized.facts
    report = folder / QUALITY_FOLDER / REPORT_FILE
    if isinstance(chosen, QuantizedConfig) and chosen.embedding.name == "co-occurrence":
        message("items are near that the same users take (embedding co-occurrence, no texts)")
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
    add: Path | None,
    retire: Path | None,
    like: Path | None,
    settings: Sequence[str],
    json: bool,
) -> None:
    """Make a catalog that follows an earlier one."""
    with WorkProgress() as progress:
        if like is not None:
            catalog = tokenize_like(folder, like, settings, progress)
        else:
            added = None if add is None else read_items(add)
            retired = [] if retire is None else _ids_in(retire)
            catalog = change_items(folder, added, retired, settings, progress)
    facts = describe(catalog)
    if json:
        print_json({"folder": folder / CATALOG_FOLDER} | facts)
        return
    _print_catalog(folder, facts)
    print_next([f"beamwise recommend RUN --data {folder} --user USER_ID"])


def _ids_in(path: Path) -> list[str]:
    return read_items(path, {"item_id": "item_id"})["item_id"].to_list()


def _print_catalog(folder: Path, facts: dict[str, Any]) -> None:
    per_level = " ".join(f"{count:,}" for count in facts["prefixes_per_level"])
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
    for warning in quality.warnings:
        message(f"warning: {warning.what}; {warning.remedy}")
