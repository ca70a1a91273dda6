import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from beamwise import Catalog
from beamwise.config import write_config
from beamwise.training.checkpoint import BEST, LAST, read_tensors
from beamwise.training.metrics_log import read_metrics
from beamwise.training.run import open_run, train

PAIRWISE = {"name": "apao-pairwise", "eta": 0.5}


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
    ]
    assert sum(line["targets"] for line in lines) == 2 * len(_windows(config))
    run = open_run(folder)
    assert not run.backbone.training
    assert run.config.out == folder
    best, _ = read_tensors(folder / "checkpoint" / BEST)
    assert torch.equal(run.backbone.embedding.weight, best["embedding.weight"])


def _windows(config):
    from beamwise.training.run_data import RunData

    return RunData.load(config.data).train


def test_losses_fall(make_config):
    folder = train(make_config(training={"epochs": 4}))
    losses = [line["train_loss"] for line in read_metrics(folder / "metrics.jsonl", "epoch")]
    assert losses[-1] < 0.9 * losses[0]


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: shutil.rmtree(run), "no run folder at"),
        (lambda run: (run / "config.yaml").unlink(), "config.yaml is missing"),
        (lambda run: shutil.rmtree(run / "catalog"), "no catalog at"),
        (lambda run: (run / "catalog/items.parquet").write_bytes(b"PAR1"), "missing or damaged"),
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
    assert (cut.out / "metrics.jsonl").read_text() == (whole.out / "metrics.jsonl").read_text()


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
