"""A traced beam is the beam: what it kept, and with it every child that it dropped."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, node_log_probs
from beamwise.decoding.request import SearchRequest
from beamwise.experiments.beam_trace import path_log_probs, trace_beam
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

HISTORY = torch.tensor([[3, 1]])


def random_catalog(seed, *, variable, retire):
    """60 items of up to 3 of 6 tokens; some share a path, and with `variable` lengths differ."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 8, (60, 3), generator=generator)
    lengths = torch.randint(1, 4, (60,), generator=generator) if variable else None
    catalog = Catalog.from_tokens(tokens, lengths)
    return catalog.with_retired([str(i) for i in range(0, 60, 7)]) if retire else catalog


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    variable=st.booleans(),
    retire=st.booleans(),
    mask=st.sampled_from(["after", "before"]),
    width=st.integers(1, 12),
    num_values=st.sampled_from([None, 2]),
)
def test_kept_and_dropped_are_all_children_of_what_lived(
    seed, variable, retire, mask, width, num_values
):
    catalog = random_catalog(seed, variable=variable, retire=retire)
    backbone = TableBackbone(catalog.vocab_size, seed, num_values)
    scores = node_log_probs(backbone, HISTORY, catalog, mask)[0]
    request = SearchRequest(backbone, HISTORY, catalog, width, mask, None)
    live = torch.zeros(1, dtype=torch.int64)
    traced = trace_beam(request, [width] * catalog.num_levels)
    for step in traced:
        parts = (step.kept, step.dropped, step.ended)
        nodes = torch.cat([part.nodes for part in parts])
        children = catalog.children(live).nodes
        children = children[scores[children] > -torch.inf]  # retired below, all of them
        assert sorted(nodes.tolist()) == sorted(children.tolist())
        for part in parts:
            torch.testing.assert_close(part.log_probs, scores[part.nodes])
            pairs = list(zip((-part.log_probs).tolist(), part.nodes.tolist(), strict=True))
            assert pairs == sorted(pairs)
        inner = children[~catalog.is_leaf(children)]
        best = sorted(inner.tolist(), key=lambda node: (-float(scores[node]), node))[:width]
        assert step.kept.nodes.tolist() == best
        live = step.kept.nodes
    ended = torch.cat([step.ended.nodes for step in traced])
    beam = beam_search(backbone, HISTORY, catalog, width, width, mask)
    found = [leaf for leaf in beam.leaves[0].tolist() if leaf >= 0]
    assert set(found) <= set(catalog.leaf_start[ended].tolist())


@pytest.mark.parametrize("mask", ["after", "before"])
def test_scores_of_paths_are_those_of_a_full_ranking(mask):
    catalog = random_catalog(5, variable=True, retire=False)
    backbone = TableBackbone(catalog.vocab_size, 5)
    scores = node_log_probs(backbone, HISTORY, catalog, mask)[0]
    items = torch.tensor([7, 30])
    expected = {
        node: float(scores[node])
        for path in catalog.leaf_nodes[catalog.leaf_of_item[items].long()].tolist()
        for node in path
        if node >= 0
    }
    retired = catalog.with_retired(["7"])  # still scored
    for asked in (catalog, retired):
        request = SearchRequest(backbone, HISTORY, asked, 5, mask, None)
        assert path_log_probs(request, items) == pytest.approx(expected)
        assert path_log_probs(request, items[:0]) == {}


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    mask=st.sampled_from(["after", "before"]),
    width=st.integers(1, 6),
    words=st.integers(1, 8),
)
def test_a_title_is_traced_along_runs_as_token_by_token(seed, mask, width, words):
    catalog = random_titles(seed, 20, words)
    backbone = TableBackbone(catalog.vocab_size, seed)
    request = SearchRequest(backbone, HISTORY, catalog, width, mask, None)
    items = torch.tensor([0, 7])
    traced, paths = [], []
    for runs in (along_runs, step_by_step):
        with runs():
            traced.append(trace_beam(request, [width] * catalog.num_levels))
            paths.append(path_log_probs(request, items))
    assert paths[0] == pytest.approx(paths[1])
    assert len(traced[0]) == len(traced[1])
    live = [0]
    for mine, theirs in zip(*traced, strict=True):
        assert mine.is_choice == theirs.is_choice
        for name in ("kept", "dropped", "ended"):
            found, expected = getattr(mine, name), getattr(theirs, name)
            assert found.nodes.tolist() == expected.nodes.tolist()
            assert torch.equal(found.log_probs, expected.log_probs)
        assert mine.is_choice == any(int(catalog.num_children(torch.tensor(n))) > 1 for n in live)
        live = mine.kept.nodes.tolist()


def test_what_falls_out_of_a_narrower_beam_is_a_choice_too():
    catalog = Catalog.from_tokens([[2, 2, 2], [3, 3, 3]])
    request = SearchRequest(TableBackbone(4), HISTORY[:, :0], catalog, 1, "before", None)
    choices = [level.is_choice for level in trace_beam(request, [2, 1, 1])]
    assert choices == [True, True, False]
