"""Steps of titles: those with a choice, forced tokens folded into them, items at the end."""

from __future__ import annotations

import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, exact_search
from beamwise.decoding.request import SearchRequest
from beamwise.experiments.beam_trace import path_log_probs, trace_beam
from beamwise.experiments.inspected_levels import Found, LevelDescriber
from beamwise.experiments.inspected_steps import levels_as_they_are, levels_with_a_choice
from beamwise.testing.run_choice import along_runs
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

# Titles 9 2 2 3, 9 2 2 4 4 and 9 5 5 5 5, each with its end: choices are tokens 2 and 4.
CATALOG = Catalog.from_tokens(
    [[9, 2, 2, 3, 0], [9, 2, 2, 4, 4], [9, 5, 5, 5, 5]], lengths=[4, 5, 5]
)


def steps_of(catalog, backbone, width, top_k, target, mask="before"):
    history = torch.tensor([[0]])
    request = SearchRequest(backbone, history, catalog, top_k, mask, None)
    with along_runs():
        beam = beam_search(backbone, history, catalog, width, top_k, mask)
        best = exact_search(backbone, history, catalog, top_k, mask)
        items = torch.cat([best.items[0][best.items[0] >= 0], torch.tensor([target])])
        found = Found(beam, best, target, path_log_probs(request, items))
        traced = trace_beam(request, [width] * catalog.num_levels)
    titles = pl.Series([f"T{item}" for item in range(catalog.num_items)])
    describer = LevelDescriber(catalog, titles, traced, found)
    widths = [width] * catalog.num_levels
    return (
        levels_with_a_choice(describer, catalog, traced, widths, 3),
        levels_as_they_are(describer, widths, len(traced), 3),
    )


def test_golden():
    # All logits tie: after 9, half each; after 9 2 2, half of it again. Lower nodes come first.
    backbone = TableBackbone(CATALOG.vocab_size, num_values=1)
    steps, plain = steps_of(CATALOG, backbone, 3, 3, 1)
    assert [(each.number, each.until, each.is_end) for each in steps] == [
        (2, 3, False), (4, 6, False), (6, 6, True),
    ]  # fmt: skip
    assert [each.number for each in plain] == [1, 2, 3, 4, 5, 6]
    first, second, end = steps
    assert [prefix.tokens for prefix in first.survivors] == [(9, 2), (9, 5)]
    assert [prefix.parent for prefix in first.survivors] == [0, 0]
    assert [(p.tokens, p.state) for p in second.survivors] == [
        ((9, 5, 5, 5), "kept"), ((9, 2, 2, 3), "kept"), ((9, 2, 2, 4), "kept"),
    ]  # fmt: skip
    above = {prefix.tokens: prefix.node for prefix in first.survivors}
    assert [prefix.parent for prefix in second.survivors] == [
        above[9, 5], above[9, 2], above[9, 2],
    ]  # fmt: skip
    assert [(p.examples[0].title, p.rank, p.state) for p in end.survivors] == [
        ("T2", 1, "returned"), ("T0", 2, "returned"), ("T1", 3, "returned"),
    ]  # fmt: skip
    on_second = {prefix.tokens: prefix.node for prefix in second.survivors}
    assert [p.parent for p in end.survivors] == [on_second[p.tokens[:4]] for p in end.survivors]
    assert [each.target.state for each in steps if each.target] == ["kept", "kept", "returned"]
    assert (end.num_candidates, end.num_lost, end.lost) == (3, 0, ())


def test_a_single_title_is_the_end_alone():
    catalog = Catalog.from_tokens([[9, 2, 2]], lengths=[3])
    (end,) = steps_of(catalog, TableBackbone(10), 1, 1, 0)[0]
    assert end.is_end
    assert [(p.parent, p.state) for p in end.survivors] == [(0, "returned")]
    assert end.target is not None
    assert (end.target.state, end.target.rank) == ("returned", 1)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    num_words=st.integers(1, 8),
    width=st.integers(1, 5),
    mask=st.sampled_from(["after", "before"]),
)
def test_nothing_is_lost_or_ends_but_in_a_step(seed, num_words, width, mask):
    catalog = random_titles(seed, 15, num_words)
    backbone = TableBackbone(catalog.vocab_size, seed)
    steps, plain = steps_of(catalog, backbone, width, width, seed % 15, mask)
    assert sum(each.num_lost for each in steps) == sum(each.num_lost for each in plain)
    for state in ("returned", "outscored"):
        ended = [
            sorted(p.node for level in levels for p in (*level.survivors, *level.lost)
                   if p.state == state)
            for levels in (steps, plain)
        ]  # fmt: skip
        if state == "returned":  # of the out-scored only the best are named
            assert ended[0] == ended[1]
    shown = {0: ()}
    for level in steps:
        for prefix in (*level.survivors, *level.lost):
            parent = shown[prefix.parent]
            assert prefix.tokens[: len(parent)] == parent
        shown |= {p.node: p.tokens for p in level.survivors}
    states = [each.target.state for each in steps if each.target]
    assert states == sorted(
        states, key=["kept", "returned", "crowded out", "pruned", "outscored", "lost before"].index
    )
    expected = [each.target.state for each in plain if each.target]
    fates = [next(each for each in some if each != "kept") for some in (states, expected)]
    assert fates[0] == fates[1]


def test_levels_as_they_are_have_forced_ones_too():
    plain = steps_of(CATALOG, TableBackbone(10), 1, 1, 0)[1]
    assert all(each.until == each.number and not each.is_end for each in plain)
    assert len(plain) >= 5
