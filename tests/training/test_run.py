import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest
import torch

from beamwise import Catalog
from beamwise.config import write_config
from beamwise.testing.processes import run_together
from beamwise.testing.tiny_run import TINY_TOKENIZER, tiny_data, tiny_run
from beamwise.tokenization.later_items import change_items, tokenize_like
from beamwise.training.checkpoint import BEST, LAST, read_tensors, weights_version
from beamwise.training.metrics_log import read_metrics
from beamwise.training.provenance import Origin, provenance
from beamwise.training.run import open_run, train
from beamwise.training.run_data import RunData

PAIRWISE = {"name": "apao-pairwise", "eta": 0.5}


def without_times(path):
    """The lines of a log, without what no two runs share."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: v for name, v in line.items() if name != "train_seconds"} for line in lines]


def test_a_run_folder_is_complete_and_opens(make_config):
    lines = []
    config = make_config(objective=PAIRWISE)
    folder = train(config, lines.append)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == [
        "catalog/catalog.json",
        "catalog/items.parquet",
        "catalog/tokens.parquet",
        f"checkpoint/{BEST}",
        f"checkpoint/{LAST}",
        "config.yaml",
        "metrics.jsonl",
        "provenance.json",
    ]
    assert sum(line["targets"] for line in lines) == 2 * len(_windows(config))
    run = open_run(folder)
    assert not run.backbone.training
    assert run.config.out == folder
    best, _ = read_tensors(folder / "checkpoint" / BEST)
    assert torch.equal(run.backbone.embedding.weight, best["embedding.weight"])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run whose data have a tokenizer, for reading only."""
    return tiny_run(tmp_path_factory.mktemp("fitted"), TINY_TOKENIZER)


def test_a_run_keeps_the_tokenizer_of_its_data(fitted, tmp_path):
    data = open_run(fitted).data
    for path in (data / "tokenizer").rglob("*"):
        if path.is_file():
            assert (fitted / path.relative_to(data)).read_bytes() == path.read_bytes()
    later = shutil.copytree(data, tmp_path / "later")
    for name in ("catalog", "tokenizer"):
        shutil.rmtree(later / name)
    assert tokenize_like(later, fitted).version == open_run(fitted).catalog.version


def test_a_later_catalog_takes_the_place_of_the_runs_own(fitted, tmp_path):
    own = open_run(fitted)
    assert own.data == own.config.data.folder
    later = shutil.copytree(own.data, tmp_path / "later")
    new = pl.DataFrame({"item_id": ["new"], "title": own.items["title"][:1]})
    catalog = change_items(later, new, ["item-0003"])
    run = open_run(fitted, data=later)
    assert (run.catalog.version, run.data) == (catalog.version, later)
    assert run.items["item_id"].to_list() == [*own.items["item_id"], "new"]
    assert run.items["title"][200] == own.items["title"][0]
    assert run.backbone.vocab_size == own.backbone.vocab_size == catalog.vocab_size
    assert torch.equal(run.backbone.embedding.weight, own.backbone.embedding.weight)


def test_a_catalog_of_another_tokenizer_is_refused(fitted, shop_folder, tmp_path):
    with pytest.raises(ValueError, match=r"has vocab_size=.*tokenize it like the run's data"):
        open_run(fitted, data=shop_folder)
    with pytest.raises(ValueError, match=r"no dataset folder at .*nothing"):
        open_run(fitted, data=tmp_path / "nothing")
    seed = TINY_TOKENIZER.quantizer.model_copy(update={"seed": 1})
    other = tiny_data(tmp_path / "o", TINY_TOKENIZER.model_copy(update={"quantizer": seed}))
    with pytest.raises(ValueError, match="has other tokens in"):
        open_run(fitted, data=other)
    (other / "items.parquet").write_bytes(b"PAR1" + bytes(20) + b"PAR1")
    with pytest.raises(ValueError, match=r"items\.parquet is not readable as Parquet"):
        open_run(fitted, data=other)


def _windows(config):
    return RunData.load(config.data).train


def test_losses_fall_and_steps_are_counted_over_the_whole_run(make_config):
    told = []
    folder = train(make_config(training={"epochs": 4}), told.append)
    epochs = read_metrics(folder / "metrics.jsonl", "epoch")
    losses = [line["train_loss"] for line in epochs]
    assert losses[-1] < 0.9 * losses[0]
    assert [line["step"] for line in epochs] == [told[0]["steps"] * n for n in (1, 2, 3, 4)]


def test_a_finished_run_trained_again_stays_as_it_is(make_config):
    config = make_config()
    folder = train(config)
    before = (folder / "metrics.jsonl").read_text()
    train(config)
    assert (folder / "metrics.jsonl").read_text() == before


def test_other_settings_never_mix_into_a_run(make_config, tmp_path):
    folder = train(make_config())
    with pytest.raises(ValueError, match=r"other settings \(objective\)"):
        train(make_config(objective={"name": "apao-pointwise"}))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not a run folder"):
        train(make_config(out=foreign))
    assert folder.is_dir()


def tear(path):
    """The footer stays whole, what it describes does not."""
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(200) + content[204:])


def drop(path, column):
    pl.read_parquet(path).drop(column).write_parquet(path)


def cut(path):
    pl.read_parquet(path)[1:].write_parquet(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: shutil.rmtree(run), "no run folder at"),
        (lambda run: (run / "config.yaml").unlink(), "config.yaml is missing"),
        (lambda run: shutil.rmtree(run / "catalog"), "no catalog at"),
        (lambda run: (run / "catalog/items.parquet").write_bytes(b"PAR1"), "missing or damaged"),
        (lambda run: tear(run / "catalog/items.parquet"), "missing or damaged"),
        (lambda run: drop(run / "catalog/items.parquet", "title"), "has no column 'title' of text"),
        (lambda run: drop(run / "catalog/items.parquet", "item_id"), "has no column 'item_id'"),
        (lambda run: cut(run / "catalog/items.parquet"), "lists other items than the catalog"),
        (lambda run: shutil.rmtree(run / "checkpoint"), "no checkpoint at"),
    ],
)
def test_damaged_run_folders_are_named(make_config, damage, message):
    folder = train(make_config(training={"epochs": 1}))
    damage(folder)
    with pytest.raises(ValueError, match=message):
        open_run(folder)


def test_a_catalog_that_does_not_fit_the_model_is_named(make_config, shop_folder):
    folder = train(make_config(training={"epochs": 1}))
    catalog = Catalog.load(folder / "catalog")
    tokens = catalog.leaf_tokens[catalog.leaf_of_item.long()].long()
    Catalog.from_tokens(tokens, item_ids=catalog.item_ids, vocab_size=catalog.vocab_size + 3).save(
        folder / "catalog"
    )
    with pytest.raises(ValueError, match=r"does not fit this model: embedding\.weight"):
        open_run(folder)


SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from beamwise.config import read_config
from beamwise.training.config import RunConfig
from beamwise.training.run import train

def tell(line):
    print(line["step"], flush=True)

train(read_config(RunConfig, Path(sys.argv[1])), tell)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_continues_to_bit_identical_weights(make_config, tmp_path, ending):
    training = {"epochs": 3, "checkpoint_steps": 2}
    settings = {"objective": PAIRWISE, "training": training}
    whole = make_config(out=tmp_path / "whole", **settings)
    cut = make_config(out=tmp_path / "cut", **settings)
    for config in (whole, cut):
        write_config(config, tmp_path / f"{config.out.name}.yaml")

    def start(name):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / f"{name}.yaml")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    process = start("cut")
    for line in process.stdout:
        if int(line) == 5:  # one step after a checkpoint, in the middle of an epoch
            break
    process.send_signal(ending)
    process.communicate(timeout=60)
    assert process.returncode != 0
    steps_at_death = json.loads(read_tensors(cut.out / "checkpoint" / LAST)[1]["progress"])
    assert steps_at_death["step"] > 0
    for name in ("cut", "whole"):
        process = start(name)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for file in (LAST, BEST):
        ours, theirs = (read_tensors(c.out / "checkpoint" / file) for c in (cut, whole))
        assert ours[1] == theirs[1]
        for name, tensor in theirs[0].items():
            assert torch.equal(ours[0][name], tensor), name
    assert without_times(cut.out / "metrics.jsonl") == without_times(whole.out / "metrics.jsonl")


def test_a_catalog_made_again_never_replaces_the_one_of_a_run(make_config, shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    config = make_config(data={"folder": copy}, training={"epochs": 1})
    folder = train(config)
    version = Catalog.load(folder / "catalog").version
    catalog = Catalog.load(copy / "catalog")
    tokens = catalog.leaf_tokens[catalog.leaf_of_item.long()].flip(0)
    Catalog.from_tokens(tokens, item_ids=catalog.item_ids, vocab_size=catalog.vocab_size).save(
        copy / "catalog"
    )
    with pytest.raises(ValueError, match=f"was trained with catalog {version}"):
        train(config)
    assert Catalog.load(folder / "catalog").version == version


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": PAIRWISE, "negatives": {"count": 10**6}}, "count=1000000 negatives"),
        ({"objective": {"name": "apao-pointwise", "prefixes": [1, 9]}}, r"prefixes=\(1, 9\)"),
        ({"objective": {"name": "apao-pointwise", "max_levels": 2}}, "max_levels=2"),
    ],
)
def test_settings_that_do_not_fit_the_data_leave_nothing_behind(make_config, settings, message):
    config = make_config(**settings)
    with pytest.raises(ValueError, match=message):
        train(config)
    assert not config.out.exists() or list(config.out.iterdir()) == []
    train(make_config(training={"epochs": 1}))  # the corrected command is not refused


def test_a_run_says_what_made_it_and_goes_on_with_the_same_data_only(make_config, shop_folder):
    config = make_config(training={"epochs": 1})

    def die(line):
        if line["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, die)
    here = provenance()
    origin = Origin.load(config.out)
    assert origin == Origin(RunData.load(config.data).version, (here,))
    Origin("other data", (here,)).save(config.out)
    with pytest.raises(ValueError, match=r"was trained on data other data, .* now has"):
        train(config)
    elsewhere = replace(here, processor="another")
    Origin(origin.data, (elsewhere,)).save(config.out)
    train(config)
    assert Origin.load(config.out).made_by == (elsewhere, here)
    Origin(origin.data, (elsewhere,)).save(config.out)
    train(config)  # which is finished: this machine has no part in it
    assert Origin.load(config.out).made_by == (elsewhere,)


def test_a_process_that_dies_while_it_makes_the_folder_leaves_none(make_config, monkeypatch):
    """Whatever it had written, the next start is as if nothing had been begun."""
    config = make_config(training={"epochs": 1})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("beamwise.training.run.write_config", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    assert not config.out.exists()
    monkeypatch.undo()
    (config.out.parent / f".{config.out.name}-abc").mkdir()  # what a kill -9 would leave
    config.out.mkdir()
    train(config)
    assert (config.out / "provenance.json").is_file()


def test_a_run_remembers_the_weights_that_it_began_with(make_config, tmp_path):
    first = train(make_config(training={"epochs": 1}))
    begun = weights_version(first / "checkpoint")
    config = make_config(training={"epochs": 1}).model_copy(
        update={"start_from": first, "out": tmp_path / "second"}
    )
    second = train(config)
    assert Origin.load(first).source is None
    assert Origin.load(second).source == begun
    shutil.copy(second / "checkpoint" / BEST, first / "checkpoint" / BEST)
    with pytest.raises(ValueError, match=r"began with other weights than .* has now: delete"):
        train(config)


def test_a_run_that_died_before_its_first_checkpoint_starts_its_log_anew(make_config):
    config = make_config(training={"epochs": 1, "checkpoint_steps": 1000})

    def die(line):
        if line["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, die)
    folder = train(config)
    steps = [line["step"] for line in read_metrics(folder / "metrics.jsonl", "step")]
    assert steps == list(range(1, len(steps) + 1))


def _train_and_count(config):
    train(config)
    return torch.distributed.get_world_size()


@pytest.mark.slow
def test_two_processes_train_one_run(make_config, tmp_path):
    groups = {
        "backbone": {"dropout": 0.0},
        "training": {"epochs": 1, "chunk_size": 64, "micro_batch_size": 64},
        "stages": ({"objective": {"name": "ce"}}, {"objective": {"name": "s-dpo"}}),
    }
    config = make_config(out=tmp_path / "two", **groups)
    assert run_together(_train_and_count, config) == [2, 2]
    alone = train(make_config(out=tmp_path / "one", **groups))
    ours, theirs = (read_metrics(f / "metrics.jsonl", "epoch") for f in (config.out, alone))
    assert len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert mine["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-4)


def test_a_process_that_was_started_as_one_of_several_does_not_train_alone(
    make_config, monkeypatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = make_config()
    with pytest.raises(ValueError, match=r"WORLD_SIZE=2 and 1 process .*accelerate launch"):
        train(config)
    assert not config.out.exists()
