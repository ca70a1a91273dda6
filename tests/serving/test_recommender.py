"""Recommendations equal a direct beam search, whatever form histories come in."""

import math
import shutil
from dataclasses import replace

import hypothesis
import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
import torch

import beamwise.decoding
import beamwise.serving.recommender
from beamwise.catalog import Catalog
from beamwise.decoding import ListedItems, beam_search, full_sort
from beamwise.serving.recommender import Recommender, load
from beamwise.tokenization.later_items import change_items

HISTORIES = [["item-0003", "item-0007"], [], ["item-0100"]]
INDICES = torch.tensor([[3, 7], [-1, -1], [100, -1]])


def searched(recommender, histories, width, top_k):
    run = recommender.run
    return beam_search(run.backbone, histories, run.catalog, beam_width=width, top_k=top_k)


def ids(found):
    return [[item.item_id for item in row] for row in found]


def test_items_and_log_probs_are_those_of_the_beam_search(recommender):
    found = recommender.recommend(HISTORIES, top_k=4)
    expected = searched(recommender, INDICES, width=10, top_k=4)
    assert ids(found) == [[f"item-{index:04d}" for index in row] for row in expected.items.tolist()]
    log_probs = torch.tensor([[item.log_prob for item in row] for row in found])
    torch.testing.assert_close(log_probs, expected.log_probs)


@pytest.mark.parametrize("exclude_history", [False, True])
def test_exact_answers_are_those_of_the_full_sort(recommender, exclude_history):
    found = recommender.recommend(HISTORIES, top_k=4, exact=True, exclude_history=exclude_history)
    run = recommender.run
    eligible = torch.ones(3, run.catalog.num_items, dtype=torch.bool)
    if exclude_history:
        eligible[[0, 0, 2], [3, 7, 100]] = False
    expected = full_sort(run.backbone, INDICES, run.catalog, 4, eligible=eligible)
    assert ids(found) == [[f"item-{index:04d}" for index in row] for row in expected.items.tolist()]


def test_an_exact_search_has_no_beam_width(recommender):
    with pytest.raises(ValueError, match="beam_width=20 is for a beam search, not an exact one"):
        recommender.recommend(HISTORIES, exact=True, beam_width=20)


def test_titles_belong_to_the_items(recommender):
    titles = dict(recommender.run.items.select("item_id", "title").iter_rows())
    for item in recommender.recommend(HISTORIES, top_k=10)[0]:
        assert item.title == titles[item.item_id]


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_indices_are_ids(recommender, kind):
    indices = INDICES.numpy() if kind is np.ndarray else INDICES
    assert recommender.recommend(indices, top_k=3) == recommender.recommend(HISTORIES, top_k=3)


def test_only_the_latest_items_are_read(recommender):
    most = recommender.run.config.data.max_history
    recent = [f"item-{index:04d}" for index in range(20, 20 + most)]
    long = ["item-0150", "item-0151", *recent]
    expected = recommender.recommend([recent], top_k=5)
    assert recommender.recommend([long], top_k=5) == expected
    indices = torch.tensor([[150, 151, *range(20, 20 + most)], [3, 7] + [-1] * most])
    assert ids(recommender.recommend(indices, top_k=5))[0] == ids(expected)[0]
    assert recommender.recommend([long], top_k=5) != recommender.recommend([long[:-1]], top_k=5)


def test_batches_do_not_change_the_answers(recommender, monkeypatch):
    whole = recommender.recommend(HISTORIES, top_k=5)
    config = recommender.run.config
    evaluation = config.evaluation.model_copy(update={"batch_size": 1})
    changed = config.model_copy(update={"evaluation": evaluation})
    monkeypatch.setitem(recommender.run.__dict__, "config", changed)
    assert ids(recommender.recommend(HISTORIES, top_k=5)) == ids(whole)


def test_the_beam_is_as_wide_as_top_k(recommender):
    found = recommender.recommend([["item-0003"]], top_k=60)[0]
    expected = searched(recommender, torch.tensor([[3]]), width=60, top_k=60)
    assert ids([found]) == [[f"item-{index:04d}" for index in expected.items[0].tolist()]]


def test_a_whole_catalog_can_be_asked_for(recommender):
    found = recommender.recommend([["item-0003"]], top_k=200)[0]
    assert len({item.item_id for item in found}) == 200


def test_only_eligible_items_come_back(recommender):
    eligible = ["item-0001", "item-0002", "item-0199"]
    found = recommender.recommend(HISTORIES, top_k=5, eligible=eligible)
    assert [{item.item_id for item in row} for row in found] == [set(eligible)] * 3


def test_excluded_items_do_not_come_back(recommender):
    best = ids(recommender.recommend(HISTORIES, top_k=200))
    wanted = [f"item-{index:04d}" for index in range(40, 60)]
    found = recommender.recommend(HISTORIES, top_k=200, eligible=wanted, excluded=wanted[:15])
    assert ids(found) == [[item for item in row if item in wanted[15:]] for row in best]
    found = recommender.recommend(HISTORIES, top_k=200, excluded=wanted)
    assert ids(found) == [[item for item in row if item not in wanted] for row in best]


@hypothesis.given(
    wanted=st.sets(st.integers(0, 199), min_size=1, max_size=30), top_k=st.integers(1, 12)
)
@hypothesis.settings(max_examples=10)
def test_k_items_come_back_whenever_k_are_eligible(recommender, wanted, top_k):
    """Also with the narrowest beam; and with a beam as wide as the catalog, the very best."""
    eligible = [f"item-{index:04d}" for index in wanted]
    narrow = recommender.recommend(HISTORIES, top_k, eligible=eligible, beam_width=top_k)
    assert [len(row) for row in narrow] == [min(top_k, len(wanted))] * len(HISTORIES)
    ranked = ids(recommender.recommend(HISTORIES, top_k=200))
    found = ids(recommender.recommend(HISTORIES, top_k, eligible=eligible, beam_width=200))
    assert found == [[item for item in row if item in eligible][:top_k] for row in ranked]


def test_lists_that_leave_nothing_or_name_unknown_items_are_refused(recommender):
    items = ["item-0001", "item-0002"]
    for eligible, excluded in (
        ([], ()),
        (items, items),
        (None, recommender.catalog.item_ids.to_list()),
    ):
        with pytest.raises(ValueError, match=r"no item may be recommended: of the 200"):
            recommender.recommend(HISTORIES, eligible=eligible, excluded=excluded)
    for lists in ({"eligible": ["no"]}, {"excluded": ["no"]}):
        with pytest.raises(ValueError, match=rf"{next(iter(lists))}: 1 item id.*'no'"):
            recommender.recommend(HISTORIES, **lists)
    found = recommender.recommend(
        HISTORIES, top_k=2, eligible=["no", *items], excluded=["no"], skip_unknown=True
    )
    assert [len(row) for row in found] == [2, 2, 2]
    assert recommender.unknown_ids(["no", "item-0001", "no", "nor"]) == ["no", "nor"]


def test_no_histories_give_no_answers(recommender):
    assert recommender.recommend([]) == []


@pytest.mark.parametrize("top_k", [0, -1, 201])
def test_top_k_outside_the_catalog_is_refused(recommender, top_k):
    with pytest.raises(ValueError, match=rf"top_k must be in 1\.\.200.*got {top_k}"):
        recommender.recommend(HISTORIES, top_k=top_k)


def test_unknown_ids_are_named_or_skipped(recommender):
    with pytest.raises(ValueError, match="'nothing'"):
        recommender.recommend([["item-0003", "nothing", "item-0007"]])
    skipped = recommender.recommend([["item-0003", "nothing", "item-0007"]], skip_unknown=True)
    assert skipped == recommender.recommend([["item-0003", "item-0007"]])


def test_one_history_alone_is_refused(recommender):
    with pytest.raises(ValueError, match=r"write \[history\] for one user"):
        recommender.recommend(["item-0003", "item-0007"])


def test_titles_are_found_in_any_case_and_the_nearest_is_shown(recommender):
    title = recommender.run.items["title"][5]
    assert recommender.titles_of(recommender.item_ids_of_titles([title.upper()])) == [title]
    with pytest.raises(ValueError, match=f"did you mean '{title}'"):
        recommender.item_ids_of_titles([title + "!"])
    with pytest.raises(ValueError, match="give a title of the data"):
        recommender.item_ids_of_titles(["0"])


def test_the_history_of_a_user_is_that_of_the_data(recommender):
    history = recommender.history_of_user("user-0002")
    assert len(history) >= 5
    assert recommender.recommend([history], top_k=1)
    with pytest.raises(ValueError, match="no user 'nobody'"):
        recommender.history_of_user("nobody")


def test_loading_takes_a_text_path(recommender):
    again = load(str(recommender.run.folder))
    assert again.catalog.version == recommender.catalog.version


@pytest.fixture
def later(fitted, tmp_path):
    """The data of the run with an item added that has the title of item 7."""
    data = shutil.copytree(load(fitted).run.data, tmp_path / "later")
    items = pl.read_parquet(data / "items.parquet")
    change_items(data, items[7:8].with_columns(item_id=pl.lit("new")))
    return data


def test_a_model_trained_before_recommends_a_new_item(fitted, later):
    before, after = load(fitted, "cpu"), load(fitted, "cpu", data=later)
    found = after.recommend(HISTORIES, top_k=3, eligible=["new"])
    assert ids(found) == [["new"]] * 3
    assert {item.title for row in found for item in row} == {before.run.items["title"][7]}
    assert before.catalog.vocab_size == after.catalog.vocab_size == after.run.backbone.vocab_size
    with pytest.raises(ValueError, match="'new'"):
        before.recommend(HISTORIES, eligible=["new"])
    # A step that the model never saw leaves its share to the items beside it, and to no others.
    whole = {item.item_id: item.log_prob for item in after.recommend([[]], top_k=201)[0]}
    assert whole["new"] == pytest.approx(found[1][0].log_prob, abs=1e-5)
    paths = after.catalog.leaf_tokens[after.catalog.leaf_of_item.long(), :-1].tolist()
    path_of = dict(zip(after.catalog.item_ids, paths, strict=True))
    beside = [item for item, path in path_of.items() if path == path_of["new"] and item != "new"]
    assert "item-0007" in beside
    left = math.log(len(beside) / (len(beside) + 1))
    for item in before.recommend([[]], top_k=200)[0]:
        share = left if item.item_id in beside else 0
        assert whole[item.item_id] == pytest.approx(item.log_prob + share, abs=1e-5)


def test_a_new_item_may_stand_in_a_history(fitted, later):
    after = load(fitted, "cpu", data=later)
    known, unknown = after.recommend([["new"], []], top_k=5)
    assert known != unknown
    with pytest.raises(ValueError, match="'new'"):
        load(fitted, "cpu").recommend([["new"]])
    assert after.titles_of(["new"]) == after.titles_of(["item-0007"])


def test_a_retired_item_is_never_recommended_but_may_stand_in_a_history(fitted, later):
    best = load(fitted, "cpu").recommend([["item-0003"]], top_k=1)[0][0].item_id
    histories = [["item-0003"], [best], [best, "new"], []]
    before = load(fitted, "cpu", data=later).recommend(histories, top_k=201)
    change_items(later, retired=[best])
    after = load(fitted, "cpu", data=later)
    found = after.recommend(histories, top_k=201)
    for row, earlier in zip(found, before, strict=True):
        assert [item for item in ids([earlier])[0] if item != best] == ids([row])[0]
        assert len(row) == 200
    with pytest.raises(ValueError, match=r"eligible and excluded leave none"):
        after.recommend(histories, top_k=5, eligible=[best])


def test_users_are_those_of_the_later_data(fitted, later):
    table = pl.read_parquet(later / "interactions.parquet")
    more = table.tail(1).with_columns(user_id=pl.lit("ann"), item_id=pl.lit("new"))
    pl.concat([table, more]).write_parquet(later / "interactions.parquet")
    assert load(fitted, data=str(later)).history_of_user("ann") == ["new"]
    with pytest.raises(ValueError, match="no user 'ann'"):
        load(fitted).history_of_user("ann")


def test_a_catalog_of_another_tokenizer_is_refused(fitted, recommender):
    with pytest.raises(ValueError, match="tokenize it like the run's data"):
        load(fitted, data=recommender.run.data)


def test_items_of_the_history_can_be_left_out(recommender):
    free = recommender.recommend(HISTORIES, top_k=200, beam_width=200)
    asked = [[row[0].item_id, row[5].item_id] for row in free[:2]] + [[]]
    free = recommender.recommend(asked, top_k=200, beam_width=200)
    found = recommender.recommend(asked, top_k=200, beam_width=200, exclude_history=True)
    for history, whole, row in zip(asked, ids(free), ids(found), strict=True):
        assert row == [item for item in whole if item not in history]  # no user's for another
        assert len(row) == 200 - len(history)
    eligible = [asked[0][0], "item-0050"]
    some = recommender.recommend(asked, eligible=eligible, exclude_history=True)
    assert ids(some)[0] == ["item-0050"]
    assert sorted(ids(some)[2]) == sorted(eligible)
    assert recommender.recommend(asked[2:], exclude_history=True) == recommender.recommend([[]])


@pytest.mark.parametrize("exact", [False, True])
def test_what_is_left_out_of_a_whole_catalog_is_a_list(recommender, monkeypatch, exact):
    """A mask would have a row of all items for every user."""
    name = "exact_ranking" if exact else "beam_search"
    search, asked = getattr(beamwise.decoding, name), []

    def watched(*given):
        asked.append(given[-1])
        return search(*given)

    monkeypatch.setattr(beamwise.serving.recommender, name, watched)
    recommender.recommend(HISTORIES, exclude_history=True, exact=exact)
    assert isinstance(asked[0], ListedItems)
    assert not asked[0].only
    assert asked[0].items.tolist() == INDICES.tolist()


def test_items_too_old_to_be_read_are_left_out_too(recommender):
    most = recommender.run.config.data.max_history
    long = [f"item-{n:04d}" for n in range(most + 5)]
    asked = {"top_k": 200, "beam_width": 200, "exclude_history": True}
    (found,) = ids(recommender.recommend([long], **asked))
    assert set(found).isdisjoint(long)
    assert len(found) == 200 - len(long)
    indices = torch.arange(most + 5)[None]
    assert ids(recommender.recommend(indices, **asked)) == [found]
    for wrong in (torch.tensor([[200]]), torch.cat((torch.tensor([[200]]), indices), dim=1)):
        for eligible in (None, ["item-0050"]):
            with pytest.raises(ValueError, match=r"item indices 0\.\.199"):
                recommender.recommend(wrong, eligible=eligible, exclude_history=True)


def test_a_history_of_all_items_leaves_nothing(recommender):
    every = recommender.catalog.item_ids.to_list()
    assert recommender.recommend([every], exclude_history=True) == [[]]


def test_a_beam_below_top_k_is_refused_where_items_differ_in_length_too(recommender):
    run = recommender.run
    lengths = torch.full((run.catalog.num_items,), 3)
    lengths[0] = 2
    tokens = run.catalog.leaf_tokens[run.catalog.leaf_of_item.long(), :3]
    ids = run.catalog.item_ids
    catalog = Catalog.from_tokens(tokens, lengths, ids, vocab_size=run.catalog.vocab_size)
    titles = Recommender(replace(run, catalog=catalog))
    assert len(titles.recommend([["item-0003"]], top_k=2, beam_width=2)[0]) == 2
    with pytest.raises(ValueError, match=r"top_k must be in 1..2, the last beam_width, got 3"):
        titles.recommend([["item-0003"]], top_k=3, beam_width=2)
