"""Ours: other objectives, baselines that count, and a token an item."""

import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.sources.simulated_shop import read_simulated_shop
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import own
from beamwise.experiments.paper.setting import Setting
from beamwise.testing.tiny_run import TINY_SHOP, tiny_data


def test_methods_change_one_thing_each(tmp_path):
    comparison = Comparison(own.comparison(Setting("office", "tiger")), tmp_path)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["apao-pairwise-beam20"].objective.beam_width == 20
    assert runs["apao-pairwise-mined"].negatives.source == "beam"
    assert runs["apao-pairwise-mined"].objective == runs["apao-pairwise"].objective
    assert runs["sasrec"].backbone.name == "llama"
    assert str(runs["sasrec"].data.folder) == "data/office-item-ids"
    assert runs["sasrec"].objective.name == "ce"
    assert runs["bear"].evaluation.mask == "before"
    before, after = runs["ce-before"], runs["ce"]
    assert (before.evaluation.mask, after.evaluation.mask) == ("before", "after")
    assert (before.objective, before.training) == (after.objective, after.training)


def test_a_token_an_item_is_made_of_the_same_data_once(setting):
    folder = own.prepare(setting)
    assert folder == own.item_id_data(setting.data_folder)
    ours, theirs = Dataset.load(folder), Dataset.load(setting.data_folder)
    assert ours.interactions.item_ids.equals(theirs.interactions.item_ids)
    assert (folder / "catalog").is_dir()
    made = folder.stat().st_mtime_ns
    own.prepare(setting)
    assert folder.stat().st_mtime_ns == made
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_other_data_is_refused(tmp_path):
    setting = Setting("office", "tiger", "small", tiny_data(tmp_path / "office"))
    other = read_simulated_shop(TINY_SHOP.model_copy(update={"seed": 1}))
    other.save(own.item_id_data(setting.data_folder))
    with pytest.raises(ValueError, match=r"office-item-ids holds other interactions than the data"):
        own.prepare(setting)


def test_two_that_start_at_once_both_succeed(tmp_path, monkeypatch):
    setting = Setting("office", "tiger", "small", tiny_data(tmp_path / "office"))
    real, others = own.tokenize, []

    def slow(folder, config):
        """While this process makes the folder, another one does as well and is quicker."""
        if not others:
            others.append(None)
            others.append(own.prepare(setting))
        return real(folder, config)

    monkeypatch.setattr(own, "tokenize", slow)
    folder = own.prepare(setting)
    assert others[1] == folder
    assert (folder / "catalog").is_dir()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_written_is_no_silent_success(tmp_path, monkeypatch):
    setting = Setting("office", "tiger", "small", tiny_data(tmp_path / "office"))

    def refused(*_):
        raise OSError("read-only")

    monkeypatch.setattr(own.Path, "rename", refused)
    with pytest.raises(OSError, match="read-only"):
        own.prepare(setting)


def test_baselines_that_count_stand_under_exact_ranking(evidence_of, monkeypatch):
    evidence = evidence_of("own", ("ce",), (0,))
    section = own.section(evidence)
    rows = {row[0]: row for row in section.tables[0].rows}
    assert list(rows) == ["ce", "popularity", "item-kNN"]
    assert rows["popularity"][1:6] == (None,) * 5
    kept = evidence.comparison.final_run("ce", 0).folder / "baselines" / "popularity"
    assert (kept / "evaluation.json").is_file()

    def counted_again(*_):
        raise AssertionError("the baselines are kept beside the test")

    monkeypatch.setattr(own, "evaluate_baselines", counted_again)
    assert own.section(evidence).tables[0] == section.tables[0]
    assert "so that its hits count by item" in section.method[-1]
