"""An inspection of a trained run agrees with its searches, its data and a ranking of everything."""

import shutil

import polars as pl
import pytest
import torch

from beamwise.backbones.llama import Llama, LlamaConfig
from beamwise.config import ConfigError, parse_config
from beamwise.decoding import beam_search, full_sort, node_log_probs
from beamwise.experiments.evaluate_run import data_of
from beamwise.experiments.inspection import InspectionConfig, inspect_opened, inspect_run
from beamwise.testing.tiny_run import tiny_config
from beamwise.tokenization.byte_pairs import learn_byte_pairs
from beamwise.tokenization.later_items import change_items
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer
from beamwise.training.run import Run, open_run


@pytest.fixture(scope="module")
def run(tiny):
    return open_run(tiny)


@pytest.fixture(scope="module")
def data(run):
    return data_of(run)


def asked(run, data, **settings):
    return inspect_opened(run, lambda: data, InspectionConfig(**settings))


@pytest.mark.parametrize("mask", ["after", "before"])
@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_users_beam_and_exact_results(run, data, split, mask):
    windows = data.test if split == "test" else data.validation
    row = torch.tensor([4])
    user = data.user_ids[int(windows.users[4])]
    found = asked(run, data, user=user, split=split, beam_width=4, mask=mask, top_k=3)
    ids = run.catalog.item_ids
    histories, target = windows.histories(row), int(windows.targets(row))
    assert [item.item_id for item in found.history] == ids.gather(histories[0].tolist()).to_list()
    assert found.target is not None
    assert found.target.item_id == ids[target]
    assert found.target.title == run.items["title"][target]
    beam = beam_search(run.backbone, histories, run.catalog, 4, 3, mask)
    best = full_sort(run.backbone, histories, run.catalog, 3, mask)
    for name, search in (("beam_rank", beam), ("exact_rank", best)):
        ranked = {getattr(each, name): each.item_id for each in found.results}
        assert [ranked[k] for k in (1, 2, 3)] == ids.gather(search.items[0].tolist()).to_list()
    assert found.beam_exact == bool(beam.exact[0])
    assert found.exact_proved
    scores = node_log_probs(run.backbone, histories, run.catalog, mask)[0]
    leaves = scores[run.catalog.leaf_nodes[:, -1].long()]
    mine = leaves[int(run.catalog.leaf_of_item[target])]
    assert found.target_rank == 1 + int((leaves > mine).sum())
    assert (found.user_id, found.split, found.mask, found.beam_width) == (user, split, mask, 4)


def test_settings_are_the_runs_own_where_not_given(run, data):
    found = asked(run, data, history=("item-0003",))
    own = run.config.evaluation
    assert (found.beam_width, found.top_k, found.mask) == (own.beam_width, own.beam_width, own.mask)
    assert (found.target, found.target_rank, found.num_unread) == (None, None, 0)
    assert (found.max_history, found.splitting) == (run.config.data.max_history, "leave-one-out")
    assert found.codebook_size == (run.catalog.vocab_size - 2) // run.catalog.num_levels
    assert asked(run, data, history=(), beam_width=300).top_k == 200


def test_long_histories_are_cut_as_training_cuts_them(run, data):
    most = run.config.data.max_history
    history = tuple(f"item-{index:04d}" for index in range(most + 7))
    found = asked(run, data, history=history, target="item-0150")
    assert [item.item_id for item in found.history] == list(history[7:])
    assert found.num_unread == 7
    short = asked(run, data, history=history[7:], target="item-0150")
    assert short.results == found.results
    assert short.levels == found.levels


def test_a_longer_history_of_a_user_is_counted(run, data):
    windows = data.test
    row = int(windows.positions.argmax())
    cut = run.config.model_copy(
        update={"data": run.config.data.model_copy(update={"max_history": 2})}
    )
    run = type(run)(run.folder, cut, run.catalog, run.items, run.backbone, run.data)
    found = asked(run, data, user=data.user_ids[int(windows.users[row])])
    assert (len(found.history), found.num_unread) == (2, int(windows.positions[row]) - 2)


def test_unknown_items_are_named_or_left_out(run, data):
    history = ("item-0001", "no", "nor")
    with pytest.raises(ValueError, match=r"2 item id.*'no', 'nor'"):
        asked(run, data, history=history)
    found = asked(run, data, history=history, skip_unknown=True)
    assert found.skipped == ("no", "nor")
    assert found.results == asked(run, data, history=history[:1]).results
    with pytest.raises(ValueError, match="'no'"):
        asked(run, data, history=(), target="no", skip_unknown=True)


def test_users_that_cannot_be_asked_about(run, data):
    with pytest.raises(ValueError, match="no user 'nobody' among the 40 of the data"):
        asked(run, data, user="nobody")
    windows = data.test
    user = int(windows.users[0])
    windows = type(windows).__new__(type(windows))
    windows.__dict__.update(data.test.__dict__)
    windows.users = torch.where(data.test.users == user, -1, data.test.users)
    without = type(data)(**{**data.__dict__, "test": windows})
    with pytest.raises(ValueError, match="has no test target"):
        asked(run, without, user=data.user_ids[user])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "give a user or a history, got neither"),
        ({"user": "a", "history": []}, "give a user or a history, got both"),
        ({"user": "a", "target": "b"}, "a target belongs to a history"),
        ({"history": [], "top_k": 0}, "top_k"),
        ({"history": [], "beam_width": 0}, "beam_width"),
    ],
)
def test_bad_settings(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse_config(InspectionConfig, settings, "inspect")


def test_more_results_than_items_or_places(run, data):
    with pytest.raises(ValueError, match=r"top_k must be in 1..200"):
        asked(run, data, history=(), top_k=201)
    with pytest.raises(ValueError, match="widen the beam"):
        asked(run, data, history=(), top_k=11, beam_width=10)


def test_a_retired_target_and_later_data(fitted, tmp_path):
    later = shutil.copytree(fitted.parent / "data", tmp_path / "later")
    items = open_run(fitted).items
    new = items[7:8].with_columns(item_id=pl.lit("new"))
    change_items(later, added=new, retired=["item-0005"])
    config = InspectionConfig(history=("item-0003", "new"), target="item-0005")
    found = inspect_run(fitted, config, data=later)
    assert found.target_retired
    assert found.target_rank is None
    assert found.num_items == 201
    assert all(each.item_id != "item-0005" for each in found.results)
    with pytest.raises(ValueError, match="'new'"):
        inspect_run(fitted, config)
    fresh = inspect_run(fitted, InspectionConfig(history=(), target="new"), data=later)
    assert fresh.target_rank is not None


@pytest.mark.parametrize("mask", ["after", "before"])
def test_titles_are_followed_as_text(mask, tmp_path):
    """An untrained Llama on titles of toys, of which most tokens are forced."""
    titles = [f"{maker} wooden {toy}" for maker in ("Acme", "Bolt") for toy in ("train", "tram")]
    items = pl.DataFrame({"item_id": list("abcd"), "title": titles})
    tokenizer = TitleTokenizer(TitlesConfig(), learn_byte_pairs([], 300))
    tokenizer.save(tmp_path / "tokenizer")
    catalog = tokenizer.catalog_of(items["item_id"], items["title"])
    sizes = {"dim": 8, "num_layers": 1, "num_heads": 2, "head_dim": 4, "feedforward_dim": 8}
    backbone = Llama(LlamaConfig(**sizes), catalog.vocab_size).eval()
    titled = Run(tmp_path, tiny_config(tmp_path, tmp_path), catalog, items, backbone, tmp_path)
    settings = {"beam_width": 2, "top_k": 2, "mask": mask}
    found = asked(titled, None, history=("b",), target="d", **settings)
    assert (found.level_name, found.codebook_size) == ("token", None)
    # A token is a byte: after the quote the makers part, and after 12 and "tra" more the toys.
    steps = [(each.number, each.is_end) for each in found.levels]
    assert steps == [(2, False), (17, False), (found.levels[1].until, True)]
    assert found.levels[0].until == 16
    makers = {each.text for each in found.levels[0].survivors}
    assert makers == {"Acme wooden tra…", "Bolt wooden tra…"}
    second = found.levels[1]
    assert {each.text for each in (*second.survivors, *second.lost)} == set(titles)
    assert second.num_lost == 2
    beam = beam_search(backbone, torch.tensor([[1]]), catalog, 2, 2, mask)
    returned = [each.item_id for each in found.results if each.beam_rank]
    assert sorted(returned) == sorted(items["item_id"].gather(beam.items[0].tolist()))
    assert {each.text for each in found.levels[2].survivors} == {
        titles["abcd".index(item)] for item in returned
    }
    scores = node_log_probs(backbone, torch.tensor([[1]]), catalog, mask)[0]
    leaves = scores[catalog.leaf_nodes.amax(dim=1).long()]
    mine = leaves[int(catalog.leaf_of_item[3])]
    assert found.target_rank == 1 + int((leaves > mine).sum())
