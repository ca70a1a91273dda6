"""Beam search: golden, equal to brute force on random catalogs, and its flag proves equality."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult, beam_search, full_sort
from beamwise.decoding.eligibility import ListedItems
from beamwise.testing.brute_force import BruteForce, Ranking
from beamwise.testing.table_backbone import TableBackbone


@dataclass(frozen=True)
class Problem:
    """A random catalog, users and search settings."""

    catalog: Catalog
    paths: list[tuple[int, ...]]
    backbone: TableBackbone
    histories: Tensor
    mask: str
    eligible: Tensor | None
    widths: list[int]
    top_k: int

    def brute_force(self, user: int) -> BruteForce:
        encoded = self.backbone.encode_histories(self.histories[user : user + 1], self.catalog)
        history = encoded.tokens[0, : int(encoded.lengths[0])].tolist()
        eligible = self.eligible
        if eligible is not None:
            eligible = (eligible if eligible.ndim == 1 else eligible[user]).tolist()
        return BruteForce(
            self.paths,
            lambda prefix: self.backbone.next_token_logits(history, prefix),
            self.mask,
            eligible,
        )


@dataclass(frozen=True)
class Drawn:
    """What Hypothesis chooses; the contents follow from the seed."""

    num_items: int
    num_levels: int
    num_codes: int
    num_users: int
    history_size: int
    has_lengths: bool
    mask: str
    num_values: int | None
    unused_tokens: int
    eligible: str
    widths: tuple[int, ...]
    top_k: int
    seed: int


problems = st.builds(
    Drawn,
    num_items=st.integers(1, 12),
    num_levels=st.integers(1, 4),
    num_codes=st.integers(1, 4),
    num_users=st.integers(1, 3),
    history_size=st.integers(0, 3),
    has_lengths=st.booleans(),
    mask=st.sampled_from(["after", "before"]),
    num_values=st.sampled_from([None, None, 1, 2]),
    unused_tokens=st.integers(0, 2),
    eligible=st.sampled_from(["all", "shared", "by user"]),
    widths=st.tuples(*[st.integers(1, 6)] * 5),
    top_k=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)


def problem_of(drawn: Drawn) -> Problem:
    d = drawn
    generator = torch.Generator().manual_seed(d.seed)

    def numbers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    tokens = 2 + numbers(0, d.num_codes, d.num_items, d.num_levels)
    lengths = numbers(1, d.num_levels + 1, d.num_items) if d.has_lengths else None
    catalog = Catalog.from_tokens(tokens, lengths, vocab_size=2 + d.num_codes)
    paths = [tuple(row) for row in tokens.tolist()]
    if lengths is not None:
        paths = [(*p[:n], 1) for p, n in zip(paths, lengths.tolist(), strict=True)]
    histories = numbers(0, d.num_items, d.num_users, d.history_size)
    history_lengths = numbers(0, d.history_size + 1, d.num_users)
    histories[torch.arange(d.history_size) >= history_lengths[:, None]] = -1
    shapes = {"shared": (d.num_items,), "by user": (d.num_users, d.num_items)}
    widths = list(d.widths[: catalog.num_levels])
    return Problem(
        catalog=catalog,
        paths=paths,
        backbone=TableBackbone(
            2 + d.num_codes + d.unused_tokens, seed=d.seed, num_values=d.num_values
        ),
        histories=histories,
        mask=d.mask,
        eligible=None if d.eligible == "all" else numbers(0, 3, *shapes[d.eligible]) > 0,
        widths=widths,
        top_k=d.top_k if len({len(p) for p in paths}) > 1 else min(d.top_k, widths[-1]),
    )


def assert_equal(result: SearchResult, user: int, expected: Ranking, problem: Problem) -> None:
    """One user's padded tensors against the naive lists."""
    for name in ("leaves", "items", "leaf_log_probs", "log_probs"):
        values = getattr(expected, name)
        fill = -math.inf if name.endswith("log_probs") else -1
        padded = values + [fill] * (problem.top_k - len(values))
        found = getattr(result, name)[user]
        torch.testing.assert_close(found, torch.tensor(padded, dtype=found.dtype), msg=name)
    for item, row in zip(result.items[user].tolist(), result.tokens[user].tolist(), strict=True):
        path = () if item < 0 else problem.paths[item]
        assert tuple(row) == path + (-1,) * (len(row) - len(path))


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(drawn=problems, chunk_size=st.integers(1, 4))
def test_equals_brute_force(drawn, chunk_size):
    p = problem_of(drawn)
    result = beam_search(
        p.backbone, p.histories, p.catalog, p.widths, p.top_k, p.mask, p.eligible,
        chunk_size=chunk_size,
    )  # fmt: skip
    for user in range(len(p.histories)):
        expected = p.brute_force(user).beam_search(p.widths, p.top_k)
        assert_equal(result, user, expected, p)
        assert bool(result.exact[user]) == expected.exact


@pytest.mark.slow
@settings(max_examples=800, deadline=None)
@given(drawn=problems)
def test_exact_means_equal_to_the_full_sort(drawn):
    p = problem_of(drawn)
    arguments = (p.top_k, p.mask, p.eligible)
    beam = beam_search(p.backbone, p.histories, p.catalog, p.widths, *arguments)
    everything = full_sort(p.backbone, p.histories, p.catalog, *arguments)
    for field in fields(SearchResult)[:-1]:  # all but the work
        found, true = getattr(beam, field.name), getattr(everything, field.name)
        assert torch.equal(found[beam.exact], true[beam.exact]), field.name


@settings(max_examples=60, deadline=None)
@given(drawn=problems)
def test_a_beam_wider_than_the_catalog_is_exact(drawn):
    p = problem_of(drawn)
    wide = beam_search(p.backbone, p.histories, p.catalog, 100, 50, p.mask, p.eligible)
    everything = full_sort(p.backbone, p.histories, p.catalog, 50, p.mask, p.eligible)
    for field in fields(SearchResult):
        assert torch.equal(getattr(wide, field.name), getattr(everything, field.name)), field.name


def num_eligible(p: Problem, user: int) -> int:
    if p.eligible is None:
        return p.catalog.num_items
    return int((p.eligible if p.eligible.ndim == 1 else p.eligible[user]).sum())


@settings(max_examples=60, deadline=None)
@given(drawn=problems)
def test_as_many_eligible_items_come_back_as_exist(drawn):
    # Each prefix kept leads to an eligible leaf of its own, found or open, so once as many as the
    # narrowest beam are alive, as many are found; and if none was pruned, all are.
    p = problem_of(drawn)
    result = beam_search(p.backbone, p.histories, p.catalog, p.widths, p.top_k, p.mask, p.eligible)
    promised = min(p.top_k, *p.widths)
    for user, items in enumerate(result.items):
        found = items[items >= 0]
        assert len(found) >= min(promised, num_eligible(p, user))
        assert len(found.unique()) == len(found)
        if p.eligible is not None:
            assert (p.eligible if p.eligible.ndim == 1 else p.eligible[user])[found].all()


@settings(max_examples=40, deadline=None)
@given(drawn=problems, as_lists=st.booleans())
def test_a_wide_beam_equals_the_filtered_ranking_of_all(drawn, as_lists):
    p = problem_of(drawn)
    everything = beam_search(p.backbone, p.histories, p.catalog, 100, 50, p.mask)
    eligible = p.eligible
    if as_lists and eligible is not None:
        by_user = eligible.expand(len(p.histories), -1)
        indices = torch.arange(p.catalog.num_items).expand_as(by_user)
        eligible = ListedItems(indices.masked_fill(~by_user, -1), only=True)
        others = ListedItems(indices.masked_fill(by_user, -1), only=False)
        without = beam_search(p.backbone, p.histories, p.catalog, 100, 50, p.mask, others)
        found = beam_search(p.backbone, p.histories, p.catalog, 100, 50, p.mask, eligible)
        assert torch.equal(without.items, found.items)
    result = beam_search(p.backbone, p.histories, p.catalog, 100, 50, p.mask, eligible)
    for user, items in enumerate(everything.items):
        ranked = items[items >= 0]
        scores = everything.log_probs[user][items >= 0]
        if p.eligible is not None:
            allowed = (p.eligible if p.eligible.ndim == 1 else p.eligible[user])[ranked]
            ranked, scores = ranked[allowed], scores[allowed]
        assert result.items[user, : len(ranked)].tolist() == ranked.tolist()
        assert (result.items[user, len(ranked) :] == -1).all()
        mine = result.log_probs[user, : len(ranked)].to(scores)  # fp32 where nothing was found
        torch.testing.assert_close(mine, scores)


class FixedLogits(TableBackbone):
    """Logits that the test writes down, by last token of the prefix; 0 for the empty one."""

    def __init__(self, by_token: list[list[float]]) -> None:
        super().__init__(vocab_size=len(by_token[0]))
        self._by_token = torch.tensor(by_token, dtype=torch.float64)

    def extend(self, context, nodes, cache=None):
        hidden = nodes.tokens.clamp(min=0)[..., None].double()
        return hidden, super().extend(context, nodes, cache)[1]

    def logits(self, hidden, tokens=None):
        logits = self._by_token[hidden[..., 0].long()]
        return logits if tokens is None else logits[..., tokens]


def fixed_problem() -> tuple[FixedLogits, Catalog]:
    # Level 1: P(2) = .5, P(3) = .3, P(0) = .2 (illegal). After 2: P(4) = P(5) = .3, P(0) = .4;
    # after 3: P(4) = .9, P(5) = .1. Items 2 4, 2 5, 3 4, 3 5: .15, .15, .27, .03.
    zero = -math.inf
    rows = [[0.2, 0, 0.5, 0.3, 0, 0], [1.0] * 6, [0.4, 0, 0, 0, 0.3, 0.3], [0, 0, 0, 0, 0.9, 0.1]]
    logs = [[math.log(p) if p else zero for p in row] for row in rows]
    return FixedLogits(logs), Catalog.from_tokens([[2, 4], [2, 5], [3, 4], [3, 5]])


def test_golden_the_beam_loses_the_best_item_and_says_so():
    backbone, catalog = fixed_problem()
    histories = torch.full((1, 0), -1)
    narrow = beam_search(backbone, histories, catalog, beam_width=[1, 2])
    assert narrow.items.tolist() == [[0, 1]]  # .15 and .15, a tie: the lower index first
    assert narrow.exact.tolist() == [False]  # the prefix 3 was pruned at .3 > .15
    torch.testing.assert_close(narrow.log_probs.exp(), torch.tensor([[0.15, 0.15]]).double())
    wide = beam_search(backbone, histories, catalog, beam_width=2)
    assert wide.items.tolist() == [[2, 0]]
    assert wide.exact.tolist() == [True]
    torch.testing.assert_close(wide.log_probs.exp(), torch.tensor([[0.27, 0.15]]).double())


def test_golden_mask_before_normalises_over_legal_tokens():
    # Legal at level 1: 5/8 and 3/8. After 2: 1/2, 1/2; after 3: .9, .1.
    backbone, catalog = fixed_problem()
    result = beam_search(backbone, torch.full((1, 0), -1), catalog, 4, mask="before")
    assert result.items.tolist() == [[2, 0, 1, 3]]
    expected = torch.tensor([[0.3375, 0.3125, 0.3125, 0.0375]]).double()
    torch.testing.assert_close(result.log_probs.exp(), expected)


def test_probabilities_are_never_normalised_over_the_eligible():
    backbone, catalog = fixed_problem()
    eligible = torch.tensor([False, True, False, False])
    result = beam_search(
        backbone, torch.full((1, 0), -1), catalog, 1, mask="before", eligible=eligible
    )
    assert result.items.tolist() == [[1]]
    assert result.exact.tolist() == [True]  # nothing eligible was pruned
    torch.testing.assert_close(result.log_probs.exp(), torch.tensor([[0.3125]]).double())


def test_probability_zero_is_never_returned():
    backbone, _ = fixed_problem()
    catalog = Catalog.from_tokens([[2, 4], [4, 4]], vocab_size=6)  # P(4) = 0 at level 1
    result = beam_search(backbone, torch.full((1, 0), -1), catalog, 3)
    assert result.items.tolist() == [[0, -1, -1]]
    assert result.log_probs[0, 1:].tolist() == [-math.inf, -math.inf]


def test_a_completed_title_holds_no_place_in_the_beam():
    # Titles "2", "3 3" and "4 4"; all logits tie, so every token costs log(1/5). Width 1 keeps
    # prefix 2 (the lowest node), then its end; a beam that counted leaves would be full with it.
    catalog = Catalog.from_tokens([[2, 0], [3, 3], [4, 4]], lengths=[1, 2, 2])
    backbone = TableBackbone(5, num_values=1)
    histories = torch.full((1, 1), -1)
    one = beam_search(backbone, histories, catalog, [2, 1, 1], top_k=3)
    assert one.items.tolist() == [[0, 1, -1]]
    torch.testing.assert_close(
        one.log_probs[0, :2], torch.tensor([-2.0, -3.0]).double() * math.log(5)
    )


def test_items_of_one_leaf_come_by_index_and_are_cut_to_k():
    catalog = Catalog.from_tokens([[3], [2], [3], [3]])
    backbone = TableBackbone(4, num_values=1)
    result = beam_search(backbone, torch.tensor([[0]]), catalog, 2)
    assert result.leaves.tolist() == [[0, 1]]
    assert result.items.tolist() == [[1, 0]]
    assert full_sort(backbone, torch.tensor([[0]]), catalog, 3).items.tolist() == [[1, 0, 2]]


def test_no_users_and_nothing_eligible():
    backbone, catalog = fixed_problem()
    none = beam_search(backbone, torch.empty(0, 3, dtype=torch.int64), catalog, 2)
    assert none.items.shape == (0, 2)
    assert none.tokens.shape == (0, 2, 2)
    eligible = torch.zeros(2, 4, dtype=torch.bool)
    eligible[1, 3] = True
    result = beam_search(backbone, torch.full((2, 1), -1), catalog, 2, eligible=eligible)
    assert result.items.tolist() == [[-1, -1], [3, -1]]
    assert result.exact.tolist() == [True, True]


def test_gives_no_gradient_and_leaves_the_mode_alone():
    weight = torch.nn.Parameter(torch.zeros(6, dtype=torch.float64))

    class Trainable(FixedLogits):
        def logits(self, hidden, tokens=None):
            assert not torch.is_grad_enabled()
            logits = super().logits(hidden) + weight
            return logits if tokens is None else logits[..., tokens]

    backbone = Trainable(fixed_problem()[0]._by_token.tolist())
    result = beam_search(backbone, torch.full((1, 0), -1), fixed_problem()[1], 2)
    assert not result.log_probs.requires_grad
    assert torch.is_grad_enabled()


def test_half_precision_logits_are_summed_in_fp32():
    catalog = Catalog.from_tokens([[2, 4], [3, 5]])
    for mask in ("after", "before"):
        backbone = TableBackbone(6, dtype=torch.bfloat16)
        result = beam_search(backbone, torch.tensor([[0]]), catalog, 2, mask=mask)
        assert result.log_probs.dtype == torch.float32


def test_many_logits_are_formed_in_blocks(monkeypatch):
    arguments = (TableBackbone(6, seed=3), torch.tensor([[0, 1], [2, -1]]), fixed_problem()[1])
    whole = full_sort(*arguments, top_k=4)
    monkeypatch.setattr("beamwise.decoding.levels.LOGITS_AT_ONCE", 7)  # one prefix at a time
    monkeypatch.setattr(sys.modules[full_sort.__module__], "PREFIXES_AT_ONCE", 1)
    for field in fields(SearchResult):
        blocks = full_sort(*arguments, top_k=4)
        assert torch.equal(getattr(blocks, field.name), getattr(whole, field.name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"histories": torch.zeros(1, 2)}, "histories must be int64 of shape"),
        ({"histories": torch.zeros(2, dtype=torch.int64)}, "got torch.int64 of shape \\(2,\\)"),
        ({"histories": torch.tensor([[4]])}, "item indices 0..3 .* got 4: use the catalog"),
        ({"histories": torch.tensor([[-2]])}, "got -2"),
        ({"beam_width": 0}, "beam_width must be >= 1, got 0"),
        ({"beam_width": [2, 0]}, "beam_width must be >= 1, got 0"),
        ({"beam_width": [2]}, "one int or 2 ints, one a level of the catalog, got 1"),
        ({"top_k": 0}, "top_k must be >= 1, got 0"),
        ({"beam_width": [9, 2], "top_k": 3}, "top_k must be in 1..2, the last beam_width, got 3"),
        ({"mask": "none"}, "mask must be one of after, before, got 'none'"),
        ({"eligible": torch.ones(4)}, "eligible must be bool of shape"),
        ({"eligible": torch.ones(2, 4, dtype=torch.bool)}, "\\(4,\\) or \\(1, 4\\), got"),
        ({"chunk_size": 0}, "chunk_size must be >= 1, got 0"),
        ({"backbone": TableBackbone(5)}, "backbone scores 5 tokens, the catalog has 6"),
        ({"histories": torch.zeros(1, 1, dtype=torch.int64, device="meta")}, "move one with"),
        ({"eligible": torch.ones(4, dtype=torch.bool, device="meta")}, "eligible is on meta"),
    ],
)
def test_refuses_in_one_line(change, message):
    backbone, catalog = fixed_problem()
    arguments = {"backbone": backbone, "histories": torch.tensor([[0]]), "catalog": catalog}
    with pytest.raises(ValueError, match=message) as error:
        beam_search(**{**arguments, **change})
    assert "\n" not in str(error.value)


def test_refuses_logits_that_are_no_distribution():
    backbone = FixedLogits([[math.nan] * 6] * 6)
    with pytest.raises(ValueError, match="NaN or infinite logits"):
        beam_search(backbone, torch.tensor([[0]]), fixed_problem()[1], 2)
