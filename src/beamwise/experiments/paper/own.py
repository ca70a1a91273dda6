"""Ours: what the paper does not compare, in the same harness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from beamwise.data.dataset import Dataset
from beamwise.evaluation import BASELINES, Evaluation
from beamwise.evaluation.evaluation import SUMMARY_FILE
from beamwise.evaluation.significance import mean_intervals
from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.evaluate_run import (
    BASELINES_FOLDER,
    evaluate_baselines,
    save_baselines,
)
from beamwise.experiments.paper.comparison_parts import (
    difference_table,
    how_compared,
    quality_columns,
    quality_names,
    quality_row,
    recall_chart,
)
from beamwise.experiments.paper.evidence import Evidence, estimate
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.report.section import Section, Table, Value
from beamwise.tokenization import tokenize
from beamwise.tokenization.item_ids import ItemIdsConfig
from beamwise.training.presets import preset

BEAM = 20
MINE_EVERY = 8
"""Steps between two searches for mined negatives."""


def comparison(setting: Setting) -> ComparisonConfig:
    """What the paper leaves open, with what it has beside.

    APAO's pairwise form as it is, aware of the beam's width, and with mined negatives; two losses
    that ask for survival without negatives, which mask before the softmax, and cross-entropy under
    that mask beside them; and a SASRec-like model on item ids.
    """
    objectives: dict[str, dict[str, Any]] = {
        "bear": {"name": "bear", "form": "log-sigmoid", "beam_width": BEAM},
        "prefix-survival": {"name": "prefix-survival", "beam_width": BEAM},
    }
    masked = (
        MethodConfig(name=name, settings={"objective": objective, "evaluation.mask": "before"})
        for name, objective in objectives.items()
    )
    mined = setting.alignment("pairwise", "apao-pairwise-mined")
    negatives = {"negatives.source": "beam", "negatives.mine_every": MINE_EVERY}
    return setting.comparison(
        "Ours",
        CE,
        MethodConfig(name="ce-before", settings={"evaluation.mask": "before"}),
        setting.alignment("pairwise"),
        setting.alignment("pairwise", f"apao-pairwise-beam{BEAM}", {"beam_width": BEAM}),
        mined.model_copy(update={"settings": {**mined.settings, **negatives}}),
        *masked,
        _sasrec(setting),
    )


def item_id_data(data: Path) -> Path:
    """Where the same data lie with a token an item: beside it, `office-item-ids` for `office`."""
    return data.with_name(f"{data.name}-item-ids")


def prepare(setting: Setting) -> Path:
    """Write the data with a token an item, unless they are there; complete or not at all.

    Several processes may start at once: the first to end writes the folder.

    Returns:
        Their folder.

    Raises:
        ValueError: If the setting's data are missing or damaged, or the folder holds others.
    """
    folder = item_id_data(setting.data_folder)
    dataset = Dataset.load(setting.data_folder)
    if not folder.is_dir():
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            made = Path(beside) / folder.name
            dataset.save(made)
            tokenize(made, ItemIdsConfig())
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise
    _check_same(dataset, Dataset.load(folder), folder)
    return folder


def _check_same(dataset: Dataset, copy: Dataset, folder: Path) -> None:
    """Refuse a folder that was made of other data."""
    if not dataset.interactions.table.equals(copy.interactions.table):
        raise ValueError(
            f"{folder} holds other interactions than the data beside it: delete that folder, and "
            "it will be made again"
        )


def _sasrec(setting: Setting) -> MethodConfig:
    settings = preset("sasrec") | {"objective": {"name": "ce"}}
    settings["data"] = settings["data"] | {"folder": str(item_id_data(setting.data_folder))}
    settings["training"] = {"chunk_size": None} | settings["training"]
    return MethodConfig(name="sasrec", settings=settings)


def section(evidence: Evidence) -> Section:
    """All of them under both searches, with the baselines that count interactions."""
    figures = evidence.figures
    return Section(
        name="own",
        title="Ours: baselines, exact search, and other objectives",
        setting=evidence.setting.title,
        method=(
            *how_compared(evidence),
            "popularity and item-kNN count the interactions of the training part and rank all "
            "items without a search. sasrec has one token an item, so that its hits count by item "
            "and not by semantic ID, under which a hit is also another item of the same ID, as the "
            "others' hits are.",
        ),
        tables=(_quality(evidence), difference_table(figures)),
        charts=(recall_chart(figures),),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _quality(evidence: Evidence) -> Table:
    figures = evidence.figures
    names = quality_names(figures)
    rows: list[tuple[Value, ...]] = [
        tuple(quality_row(figures, method)) for method in figures.methods
    ]
    for name, evaluation in _baselines(evidence).items():
        values = [evaluation.per_user[each].to_numpy()[None] for each in names]
        found = mean_intervals(values, resamples=figures.resamples)
        rows.append((name, None, *(None for _ in names), *map(estimate, found)))
    return Table(
        name="quality",
        title="Recall and NDCG by both searches",
        columns=tuple(quality_columns(figures)),
        rows=tuple(rows),
        note="Means over users and seeds with 95 % intervals.",
    )


def _baselines(evidence: Evidence) -> Mapping[str, Evaluation]:
    """Of the data of the first run of cross-entropy, kept beside its test."""
    run = evidence.comparison.final_run("ce", evidence.seeds[0])
    if run is None or not run.is_trained:
        return {}
    config = run.tested_with(evidence.comparison.config.evaluation)
    folders = {name: run.folder / BASELINES_FOLDER / name for name in BASELINES}
    if all((folder / SUMMARY_FILE).is_file() for folder in folders.values()):
        found = {name: Evaluation.load(folder) for name, folder in folders.items()}
        if all(each.config.ks == config.ks for each in found.values()):
            return found
    found = evaluate_baselines(run.folder, "test", config)
    save_baselines(run.folder, found)
    return found
