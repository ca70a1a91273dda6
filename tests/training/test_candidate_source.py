from dataclasses import replace

import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.objectives.base import Needs
from beamwise.testing.title_like import title_like_catalog
from beamwise.training.batch_source import BatchSource
from beamwise.training.candidate_source import CandidateSource
from beamwise.training.checkpoint import LAST, read_tensors
from beamwise.training.loop import Trainer
from beamwise.training.mining import mine
from beamwise.training.run import train
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of

NEEDS = Needs(negatives=True)


def source_of(config):
    data = RunData.load(config.data)
    torch.manual_seed(0)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    return data, BatchSource(backbone, data, config, NEEDS)


def candidates_of(source, windows, rows, stream=0):
    return source.candidates.of_step(windows, rows, stream, NEEDS)


def test_popular_negatives_are_training_targets_and_rare_ones_rarely(make_config):
    data, source = source_of(make_config(negatives={"source": "popular", "exponent": 1.0}))
    targets = data.catalog.leaf_of_item[data.train.targets(torch.arange(len(data.train)))].long()
    counts = torch.bincount(targets, minlength=data.catalog.num_leaves)
    drawn = candidates_of(source, data.train, torch.arange(len(data.train))).leaves[:, 1:]
    assert int(counts[drawn].min()) >= 1
    uniform = counts[counts > 0].double().mean()
    assert float(counts[drawn].double().mean()) > 1.2 * float(uniform)


def test_in_batch_negatives_are_targets_of_the_same_step(make_config):
    data, source = source_of(make_config(negatives={"source": "in-batch", "count": 5}))
    rows = torch.arange(20)
    found = candidates_of(source, data.train, rows).leaves
    step = set(found[:, 0].tolist())
    assert set(found[:, 1:].flatten().tolist()) <= step | {-1}
    assert not (found[:, 1:] == found[:, :1]).any()


def test_mined_negatives_are_what_the_model_keeps_now(make_config):
    config = make_config(negatives={"source": "beam", "beam_width": 4, "mine_every": 2})
    data, source = source_of(config)
    steps = list(torch.arange(24).split(8))
    source.candidates.before_step(source.train, steps, 0, NEEDS)
    rows = torch.arange(16)
    leaves = data.catalog.leaf_of_item[data.train.targets(rows)].long()
    expected = mine(source.backbone, data.catalog, data.train.histories(rows), leaves, 4)
    found = candidates_of(source, data.train, rows.flip(0))
    assert torch.equal(found.leaves.flip(0), expected.leaves)
    assert torch.equal(found.depths.flip(0), expected.depths)


def test_the_model_is_asked_again_only_every_so_many_steps(make_config, monkeypatch):
    config = make_config(negatives={"source": "beam", "beam_width": 4, "mine_every": 2})
    _, source = source_of(config)
    asked = []
    search = CandidateSource._mine

    def spy(self, windows, rows):
        asked.append(sorted(rows.tolist()))
        return search(self, windows, rows)

    monkeypatch.setattr(CandidateSource, "_mine", spy)
    steps = list(torch.arange(20).split(8))
    for index in range(len(steps)):
        source.candidates.before_step(source.train, steps, index, NEEDS)
    assert asked == [list(range(16)), list(range(16, 20))]
    source.candidates.before_step(source.train, steps, 0, Needs())
    assert len(asked) == 2


def test_negatives_are_mined_as_the_run_decodes(make_config):
    settings = {"source": "beam", "beam_width": 4}
    data, source = source_of(make_config(negatives=settings, evaluation={"mask": "before"}))
    rows = torch.arange(30)
    leaves = data.catalog.leaf_of_item[data.train.targets(rows)].long()
    histories = data.train.histories(rows)
    source.candidates.before_step(source.train, [rows], 0, NEEDS)
    found = candidates_of(source, data.train, rows)
    for mask, same in (("before", True), ("after", False)):
        expected = mine(source.backbone, data.catalog, histories, leaves, 4, mask)
        assert torch.equal(found.leaves, expected.leaves) == same


def test_a_loss_that_moves_by_itself_cannot_stop_training(make_config):
    mined = {"source": "beam", "beam_width": 3}
    with pytest.raises(ValueError, match=r"early_stopping.metric=loss with negatives.source=beam"):
        train(make_config(negatives=mined, objective={"name": "apao-pairwise"}))
    adaptive = {"name": "msl", "adaptive_temperature": True}
    with pytest.raises(ValueError, match="metric=loss with the objective's adaptive temperature"):
        train(make_config(objective=adaptive))


def test_validation_mines_for_itself(make_config):
    config = make_config(negatives={"source": "beam", "beam_width": 4})
    data, source = source_of(config)
    found = candidates_of(source, data.validation, torch.arange(3), stream=-1)
    assert len(found.leaves) == 3
    assert found.depths is not None


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_a_run_with_mined_negatives_that_is_cut_short_ends_the_same(
    make_config, tmp_path, backbone
):
    groups = {
        "negatives": {"source": "beam", "beam_width": 3, "mine_every": 4},
        "early_stopping": {"metric": "recall@5"},
        "objective": {"name": "apao-pairwise"},
        "backbone": {"name": backbone},
    }
    whole = make_config(out=tmp_path / "whole", **groups)
    train(whole)
    steps = []

    def progress(line):
        steps.append(line)
        if len(steps) == 3:  # within the steps that were mined for, past a checkpoint
            raise KeyboardInterrupt

    cut = make_config(out=tmp_path / "cut", **groups)
    with pytest.raises(KeyboardInterrupt):
        train(cut, progress)
    train(cut)
    ours, theirs = (read_tensors(tmp_path / n / "checkpoint" / LAST)[0] for n in ("cut", "whole"))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_too_few_leaves_are_refused(make_config):
    with pytest.raises(ValueError, match="negatives must lie in"):
        source_of(make_config(negatives={"count": 10**6}))


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_the_beam_is_simulated_before_every_step_on_titles(make_config, backbone):
    config = make_config(
        backbone={"name": backbone},
        objective={"name": "apao-pairwise", "levels": "branching", "max_prefixes": 3},
        negatives={"source": "beam", "beam_width": 3, "mine_every": 1},
        early_stopping={"metric": "ndcg@10"},
    )
    data = RunData.load(config.data)
    catalog = title_like_catalog(0, data.catalog.num_items, num_words=20)
    data = replace(data, catalog=catalog)
    torch.manual_seed(0)
    model = build_backbone(config.backbone, catalog.vocab_size)
    trainer = Trainer(config, data, model, stages_of(config)[0])
    steps = [rows[:6] for rows in trainer.steps(0)[:2]]
    mined = []
    for index in range(2):
        assert torch.isfinite(torch.tensor(trainer.step(steps, index)["loss"]))
        windows = trainer.packs.windows_of(steps[index])[0].sort().values
        assert torch.equal(trainer.source.candidates.mined["windows"], windows)
        mined.append(trainer.source.candidates.mined["leaves"])
        assert (trainer.source.candidates.mined["depths"][:, 1:] > 0).any()
    assert mined[0] is not mined[1]
