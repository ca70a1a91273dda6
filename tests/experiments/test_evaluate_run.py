"""Evaluating a run folder equals evaluating its windows, on the data that it was trained on."""

import shutil
from collections import Counter
from dataclasses import asdict

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from beamwise.catalog import Catalog
from beamwise.config import ConfigError
from beamwise.data.dataset import Dataset
from beamwise.evaluation import Evaluation, EvaluationConfig, evaluate_windows, evaluator
from beamwise.experiments.evaluate_run import (
    data_of,
    evaluate,
    evaluate_baselines,
    num_retired_targets,
    part_of,
    result_folder,
    save_baselines,
    unfinished_epoch,
    with_changes,
)
from beamwise.testing.tiny_run import TINY_EVALUATION
from beamwise.tokenization.later_items import change_items
from beamwise.training.checkpoint import read_tensors
from beamwise.training.provenance import provenance
from beamwise.training.run import open_run
from beamwise.training.run_data import RunData


@pytest.fixture
def run(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "run")


@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_windows_of_the_split_are_evaluated_and_saved(run, split):
    evaluation = evaluate(run, split)
    opened = open_run(run)
    data = RunData.load(opened.config.data)
    windows = {"test": data.test, "validation": data.validation}[split]
    expected = evaluate_windows(opened.backbone, windows, opened.catalog, TINY_EVALUATION)
    assert evaluation.summary == expected.summary
    saved = Evaluation.load(result_folder(run, split))
    assert saved.summary == expected.summary
    assert saved.made_by == asdict(provenance())
    assert saved.per_user.drop("user_id", "item_id").equals(expected.per_user)
    row = saved.per_user.row(3, named=True)
    history = windows.histories(torch.tensor([3]))[0]
    taken = Dataset.load(opened.config.data.folder).interactions.table
    items = taken.filter(pl.col("user_id") == row["user_id"])["item_id"].to_list()
    latest = opened.catalog.item_ids.gather(history[history >= 0].tolist()).to_list()
    assert items[items.index(row["item_id"], len(latest)) - 1] == latest[-1]
    assert row["item_id"] == opened.catalog.item_ids[row["target"]]


def test_widths_by_level_reach_the_search(run, monkeypatch):
    asked = []
    plain = evaluator.beam_search

    def noting(backbone, histories, catalog, beam_width, *others):
        asked.append(beam_width)
        return plain(backbone, histories, catalog, beam_width, *others)

    monkeypatch.setattr(evaluator, "beam_search", noting)
    widths = tuple(range(9, 9 - open_run(run).catalog.num_levels, -1))
    config = with_changes(EvaluationConfig(ks=(2, 20)), {"beam_width": list(widths)})
    assert (config.ks, config.last_width) == ((2,), widths[-1])
    evaluate(run, config=config)
    assert set(asked) == {widths}


def test_the_test_result_lies_in_the_run_folder_and_others_apart(run):
    evaluate(run, "validation")
    assert not (run / "evaluation.json").exists()
    evaluate(run)
    assert (run / "evaluation.json").is_file()


def test_another_config_is_used(run):
    evaluation = evaluate(run, config=EvaluationConfig(ks=(3,), beam_width=4, full_sort=True))
    assert {"recall@3", "recall@3_full_sort"} <= evaluation.summary.keys()
    assert evaluation.survival is not None


def test_progress_counts_up_to_all_users(run):
    told = []
    evaluate(
        run,
        config=TINY_EVALUATION.model_copy(update={"batch_size": 16}),
        progress=lambda *counts: told.append(counts),
    )
    assert told == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_baselines_count_training_only(run, split):
    told = []
    found = evaluate_baselines(run, split, progress=lambda *counts: told.append(counts))
    assert list(found) == ["popularity", "item-kNN"]
    assert told[-1] == (80, 80)
    opened = open_run(run)
    taken = Dataset.load(opened.config.data.folder).interactions.table
    lists = taken.group_by("user_id", maintain_order=True).agg("item_id")["item_id"]
    counts = Counter(item for items in lists for item in items[:-2])  # the shop's users have >= 3
    ids = opened.catalog.item_ids.to_list()
    ranked = sorted(ids, key=lambda item: (-counts[item], ids.index(item)))
    table = found["popularity"].per_user
    at = {"test": -1, "validation": -2}[split]
    assert table["item_id"].to_list() == [items[at] for items in lists]
    assert table["item_rank"].to_list() == [ranked.index(item) + 1 for item in table["item_id"]]
    assert not found["item-kNN"].per_user["item_rank"].equals(table["item_rank"])
    assert found["popularity"].summary.keys() == found["item-kNN"].summary.keys()


def test_baselines_are_saved_beside_the_result(run):
    found = evaluate_baselines(run, "validation", EvaluationConfig(ks=(3,)))
    save_baselines(result_folder(run, "validation"), found)
    for name, evaluation in found.items():
        saved = Evaluation.load(run / "validation" / "baselines" / name)
        assert saved.summary == evaluation.summary
        assert saved.baseline.name == name
        assert "recall@3" in saved.summary


@pytest.mark.parametrize("split", ["test", "validation"])
def test_later_data_have_results_of_their_own(fitted, tmp_path, split):
    run = shutil.copytree(fitted, tmp_path / "run")
    later = shutil.copytree(open_run(run).data, tmp_path / "later")
    new = pl.DataFrame({"item_id": ["new"], "title": open_run(run).items["title"][:1]})
    table = pl.read_parquet(later / "interactions.parquet")
    last = table.group_by("user_id", maintain_order=True).last()
    bought = last.with_columns(pl.lit("new").alias("item_id"), pl.col("timestamp") + 1)
    change_items(later, new)
    pl.concat([table, bought.select(table.columns)]).write_parquet(later / "interactions.parquet")
    own = evaluate(run, split)
    evaluation = evaluate(run, split, data=str(later))
    assert result_folder(run, split, later) == run / "on-later" / ("" if split == "test" else split)
    saved = Evaluation.load(result_folder(run, split, later))
    assert saved.summary == evaluation.summary
    assert Evaluation.load(result_folder(run, split)).summary == own.summary
    items = evaluation.per_user["item_id"]
    if split == "test":
        assert items.to_list() == ["new"] * 40
    else:  # every user's list is longer by one
        assert items.to_list() == last["item_id"].to_list()
    baselines = evaluate_baselines(run, split, data=later)
    assert baselines["popularity"].per_user["item_id"].to_list() == items.to_list()
    if split == "test":  # which nobody took in training, and which is the last of all
        assert baselines["popularity"].per_user["item_rank"].to_list() == [201] * 40


def test_data_of_another_tokenizer_are_refused(run, fitted):
    other = open_run(fitted).data
    for ask in (evaluate, evaluate_baselines):
        with pytest.raises(ValueError, match="tokenize it like the run's data"):
            ask(run, data=other)
    assert not list(run.glob("on-*"))


def test_items_retired_since_are_said_to_need_data(fitted, tmp_path):
    opened = open_run(shutil.copytree(fitted, tmp_path / "run"))
    data = shutil.copytree(opened.data, tmp_path / "data")
    config = (opened.folder / "config.yaml").read_text()
    (opened.folder / "config.yaml").write_text(config.replace(str(opened.data), str(data)))
    change_items(data, retired=["item-0000"])
    with pytest.raises(ValueError, match=f"give --data {data} if items were added or retired"):
        evaluate(opened.folder)
    assert evaluate(opened.folder, data=data).summary["users"] == 40


def test_retired_targets_are_counted_and_found_by_nobody(fitted, tmp_path):
    run = shutil.copytree(fitted, tmp_path / "run")
    own = data_of(open_run(run))
    assert num_retired_targets(own, own.test) == 0
    later = shutil.copytree(open_run(run).data, tmp_path / "later")
    best = evaluate_baselines(run)["popularity"].per_user.sort("item_rank")["item_id"][0]
    change_items(later, retired=[best])
    data = data_of(open_run(run, data=later))
    model = evaluate(run, data=later)
    is_gone = model.per_user["item_id"] == best
    assert num_retired_targets(data, data.test) == is_gone.sum() > 0
    for found in (model, *evaluate_baselines(run, data=later).values()):
        assert found.per_user.filter(is_gone)["leaf_rank"].is_null().all()


def test_a_result_on_other_data_of_the_same_name_stays(fitted, tmp_path):
    run = shutil.copytree(fitted, tmp_path / "run")
    folders = [tmp_path / name / "later" for name in "ab"]
    for folder in folders:
        shutil.copytree(open_run(run).data, folder)
    found = evaluate(run, data=folders[0])
    assert Evaluation.load(run / "on-later").data == found.data == str(folders[0].resolve())
    assert evaluate(run, data=folders[0]).summary == found.summary  # the same data may be again
    with pytest.raises(ValueError, match=f"on-later holds the result on {folders[0].resolve()}"):
        evaluate(run, data=folders[1])
    assert Evaluation.load(run / "on-later").data == str(folders[0].resolve())
    evaluate(run, "validation", data=folders[1])  # which is in a folder of its own


def test_data_with_another_catalog_is_refused(run, tmp_path):
    opened = open_run(run)
    data = shutil.copytree(opened.config.data.folder, tmp_path / "data")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace(str(opened.config.data.folder), str(data)))
    data_of(open_run(run))
    tokens = opened.catalog.leaf_tokens[opened.catalog.leaf_of_item.long()].flip(0)
    Catalog.from_tokens(tokens, item_ids=opened.catalog.item_ids).save(data / "catalog")
    with pytest.raises(ValueError, match="was trained with"):
        evaluate(run)
    assert not (run / "evaluation.json").exists()


def test_an_unknown_split_is_refused(run):
    with pytest.raises(ValueError, match="split must be one of test, validation, got 'train'"):
        part_of(data_of(open_run(run)), "train")


def test_changes_drop_cutoffs_that_the_beam_cannot_fill():
    config = EvaluationConfig(ks=(5, 10, 20), beam_width=20)
    assert with_changes(config, {"beam_width": 10}).ks == (5, 10)
    assert with_changes(config, {"beam_width": 3}).ks == (3,)
    assert with_changes(config, {"mask": "before"}).ks == (5, 10, 20)
    with pytest.raises(ConfigError, match="beam_width"):
        with_changes(config, {"beam_width": 0})


def test_the_epoch_of_an_unfinished_run(run, tmp_path):
    assert unfinished_epoch(run) is None
    assert unfinished_epoch(tmp_path) is None  # the folder of a foreign model does not say
    path = run / "checkpoint" / "last.safetensors"
    tensors, metadata = read_tensors(path)
    progress = metadata["progress"].replace('"finished": true', '"finished": false')
    save_file(tensors, path, {"progress": progress})
    assert unfinished_epoch(run) == 2
    path.write_bytes(b"cut")
    with pytest.raises(ValueError, match="damaged"):
        unfinished_epoch(run)
