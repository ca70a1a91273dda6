"""`beamwise prepare`: from a source of data to a dataset folder."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from beamwise.cli.output import print_facts, print_json, print_next
from beamwise.cli.parameters import Flag, Json, Settings, setting
from beamwise.config import Config, read_config
from beamwise.data.dataset import Dataset
from beamwise.data.sources import SOURCES
from beamwise.data.splitting import leave_one_out, sequences_of


def prepare(
    source: str,
    path: Path | None = None,
    /,
    *,
    out: Path,
    overwrite: Flag = False,
    config: Path | None = None,
    settings: Settings = (),
    json: Json = False,
) -> None:
    """Read a source of data and write it as a dataset folder.

    For example:

      beamwise prepare simulated-shop --set seed=3 --out data/shop
      beamwise prepare semantic-id-json downloads/office --out data/office

    Args:
        source: simulated-shop, or semantic-id-json: a folder of *.inter.json and *.index.json.
        path: Folder to read, for a source that has one.
        out: Folder to write.
        overwrite: Replace the folder whatever it holds.
        config: YAML file of the source's settings.
        settings: key.path=value of a setting; may be repeated.
        json: Print JSON lines on standard output, no tables.
    """
    read_from = _source_config(source, path, config, settings)
    dataset = SOURCES[source].read(read_from)
    dataset.save(out, overwrite=overwrite)
    facts = describe(dataset) | {"folder": out}
    if json:
        print_json({"source": source, **facts})
        return
    print_facts(f"{source} in {out}", facts)
    print_next([f"beamwise tokenize {out}"])


def describe(dataset: Dataset) -> dict[str, object]:
    """How much data there is, and how many targets the parts of the split have."""
    split = leave_one_out(sequences_of(dataset.interactions, dataset.items["item_id"]))
    return {
        "users": dataset.interactions.num_users,
        "items": len(dataset.items),
        "interactions": len(dataset.interactions),
        "training_targets": len(split.train.users),
        "validation_targets": len(split.validation.users),
        "test_targets": len(split.test.users),
    }


def _source_config(
    source: str, path: Path | None, config: Path | None, settings: Sequence[str]
) -> Config:
    if source not in SOURCES:
        nearest = difflib.get_close_matches(source, SOURCES, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose one of {', '.join(SOURCES)}"
        raise ValueError(f"unknown source {source!r}; {hint}")
    model = SOURCES[source].config
    reads_folder = "folder" in model.model_fields
    told = config is not None or any(s.startswith("folder=") for s in settings)
    if reads_folder and path is None and not told:
        raise ValueError(f"{source} needs a folder: beamwise prepare {source} PATH --out DIR")
    if path is not None and not reads_folder:
        raise ValueError(f"{source} reads no folder: leave {str(path)!r} out")
    given = () if path is None else (setting("folder", path),)
    return read_config(model, config, (*given, *settings))
