"""Mined prefixes: exactly those of a brute-force beam, and those that prune the target."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beamwise.backbones import Tiger
from beamwise.catalog import Catalog
from beamwise.decoding import beam_search
from beamwise.sequences.negatives import Candidates, competition
from beamwise.testing.brute_force import BruteForce, Path
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_run import TINY_TIGER
from beamwise.testing.title_like import title_like_catalog
from beamwise.training.mining import mine

NUM_USERS = 3


@dataclass(frozen=True)
class Problem:
    """A random catalog, users and targets."""

    catalog: Catalog
    paths: list[Path]
    """Of every leaf."""
    backbone: TableBackbone
    histories: Tensor
    targets: Tensor
    mask: str

    def brute_force(self, user: int) -> BruteForce:
        encoded = self.backbone.encode_histories(self.histories[user : user + 1], self.catalog)
        history = encoded.tokens[0, : int(encoded.lengths[0])].tolist()
        return BruteForce(
            self.paths, lambda prefix: self.backbone.next_token_logits(history, prefix), self.mask
        )


def problem_of(seed: int, num_values: int | None, mask: str, has_lengths: bool) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 5, (14, 3), generator=generator)
    lengths = torch.randint(1, 4, (14,), generator=generator) if has_lengths else None
    catalog = Catalog.from_tokens(tokens, lengths, vocab_size=5)
    paths = [tuple(t for t in path if t >= 0) for path in catalog.leaf_tokens.tolist()]
    histories = torch.randint(14, (NUM_USERS, 2), generator=generator)
    histories[1] = torch.tensor([3, -1])
    targets = torch.randint(catalog.num_leaves, (NUM_USERS,), generator=generator)
    backbone = TableBackbone(5, seed=seed % 1000, num_values=num_values)
    return Problem(catalog, paths, backbone, histories, targets, mask)


def ranked(brute: BruteForce, prefixes: set[Path]) -> list[Path]:
    """Prefixes of one depth, or leaves, in the total order."""
    return sorted(prefixes, key=lambda prefix: (-brute.log_prob(prefix), prefix))


def brute_force_beam(problem: Problem, user: int, width: int) -> list[set[Path]]:
    """The prefixes of every depth from 1 on that a beam keeps, those of its best leaves included.

    A leaf leaves the beam and takes no place in it; the best leaves are chosen at the end.
    """
    brute, paths = problem.brute_force(user), problem.paths
    beam: list[Path] = [()]
    levels: list[set[Path]] = []
    found: set[Path] = set()
    for depth in range(1, problem.catalog.num_levels + 1):
        children = {
            path[:depth] for path in paths if len(path) >= depth and path[: depth - 1] in beam
        }
        found |= children & set(paths)
        beam = ranked(brute, children - set(paths))[:width]
        levels.append(set(beam))
    for leaf in ranked(brute, found)[:width]:
        levels[len(leaf) - 1].add(leaf)
    return levels


def mined_prefixes(problem: Problem, candidates: Candidates, user: int) -> list[Path]:
    """The candidates beside the target."""
    assert candidates.depths is not None
    pairs = zip(candidates.leaves[user].tolist(), candidates.depths[user].tolist(), strict=True)
    return [problem.paths[leaf][:depth] for leaf, depth in list(pairs)[1:] if leaf >= 0]


PROBLEMS = {
    "seed": st.integers(0, 2**32 - 1),
    "num_values": st.sampled_from([None, None, 1, 2]),
    "mask": st.sampled_from(["after", "before"]),
}


@settings(max_examples=80)
@given(**PROBLEMS, has_lengths=st.booleans(), beam_width=st.integers(1, 6))
def test_prefixes_of_every_level_are_exactly_the_beams(
    seed, num_values, mask, has_lengths, beam_width
):
    p = problem_of(seed, num_values, mask, has_lengths)
    found = mine(p.backbone, p.catalog, p.histories, p.targets, beam_width, mask, chunk_size=2)
    counts = competition(p.catalog, found).counts
    for user, target in enumerate(p.targets.tolist()):
        mined = mined_prefixes(p, found, user)
        own = {p.paths[target][:depth] for depth in range(1, p.catalog.num_levels + 1)}
        for level, expected in enumerate(brute_force_beam(p, user, beam_width)):
            depth = level + 1
            at_depth = {prefix[:depth] for prefix in mined if len(prefix) >= depth}
            assert at_depth - own == expected - own
            assert int(counts[user, 1:, level].sum()) == len(expected - own)
        assert not any(a != b and b[: len(a)] == a for a in mined for b in mined)
        assert len(set(mined)) == len(mined)
        assert not own & set(mined)


@settings(max_examples=80)
@given(**PROBLEMS, beam_width=st.integers(1, 6))
def test_the_target_is_pruned_where_as_many_as_the_beam_holds_rank_before_it(
    seed, num_values, mask, beam_width
):
    p = problem_of(seed, num_values, mask, has_lengths=False)
    found = mine(p.backbone, p.catalog, p.histories, p.targets, beam_width, mask)
    for user, target in enumerate(p.targets.tolist()):
        brute, path = p.brute_force(user), p.paths[target]
        mined = mined_prefixes(p, found, user)
        for depth, kept in enumerate(brute_force_beam(p, user, beam_width), start=1):
            own = path[:depth]
            at_depth = {prefix[:depth] for prefix in mined if len(prefix) >= depth} - {own}
            before = ranked(brute, at_depth | {own}).index(own)
            assert (own not in kept) == (before >= beam_width)
            if own not in kept:
                break


def test_golden():
    # Logits tie, so of equal scores the lower node lives. Beams of 2 over the paths 222, 223, 233,
    # 322, 422: kept are 2 and 3; 22 and 23; 222 and 223. Target 422 was pruned at once, by 2 and 3:
    # 3 is a candidate of its own, as 23; 2 and 22 are on the paths of the two leaves.
    tokens = [[2, 2, 2], [2, 2, 3], [2, 3, 3], [3, 2, 2], [4, 2, 2]]
    catalog = Catalog.from_tokens(tokens)
    backbone = TableBackbone(5, num_values=1)
    histories = torch.tensor([[0], [0]])
    found = mine(backbone, catalog, histories, torch.tensor([4, 1]), beam_width=2)
    assert found.depths is not None
    assert found.leaves.tolist() == [[4, 0, 1, 2, 3], [1, 0, 2, 3, -1]]
    assert found.depths.tolist() == [[3, 3, 3, 2, 1], [3, 3, 2, 1, 0]]
    assert found.leaves.dtype == found.depths.dtype == torch.int64


def test_whole_items_are_those_of_beam_search_on_a_real_backbone():
    generator = torch.Generator().manual_seed(0)
    catalog = Catalog.from_codes(torch.randint(6, (80, 3), generator=generator), codebook_size=6)
    config = TINY_TIGER.model_copy(update={"dropout": 0.5})
    torch.manual_seed(0)
    tiger = Tiger(config, catalog.vocab_size).train()
    histories = torch.randint(80, (7, 4), generator=generator)
    histories[2, 1:] = -1
    targets = torch.arange(7)
    found = mine(tiger, catalog, histories, targets, beam_width=5, chunk_size=3)
    best = beam_search(tiger, histories, catalog, beam_width=5).leaves.tolist()
    is_item = competition(catalog, found).is_item
    assert all(module.training for module in tiger.modules())
    for row, leaves in enumerate(best):
        expected = [leaf for leaf in leaves if leaf != targets[row]]
        assert found.leaves[row][is_item[row]].tolist() == [row, *expected]


def test_no_targets_and_one_level():
    catalog = Catalog.from_tokens([[2], [3], [4]])
    backbone = TableBackbone(5)
    none = mine(backbone, catalog, torch.zeros(0, 1, dtype=torch.int64), torch.zeros(0).long(), 2)
    assert none.leaves.shape == (0, 2)
    found = mine(backbone, catalog, torch.tensor([[0]]), torch.tensor([1]), beam_width=9)
    assert sorted(found.leaves[0].tolist()) == [0, 1, 2]
    assert found.leaves[0, 0] == 1


@pytest.mark.parametrize(
    ("targets", "beam_width", "message"),
    [
        (torch.tensor([1]), 0, "beam_width must be >= 1, got 0"),
        (torch.tensor([1, 2]), 2, "target_leaves must be int64 of shape \\(1,\\), .* \\(2,\\)"),
        (torch.tensor([1.0]), 2, "got torch.float32 of shape"),
        (torch.tensor([3]), 2, "target_leaves must lie in 0..2, got 3: use the catalog"),
        (torch.tensor([-1]), 2, "got -1"),
    ],
)
def test_refuses_in_one_line(targets, beam_width, message):
    catalog = Catalog.from_tokens([[2], [3], [4]])
    with pytest.raises(ValueError, match=message) as error:
        mine(TableBackbone(5), catalog, torch.tensor([[0]]), targets, beam_width)
    assert "\n" not in str(error.value)


def test_a_beam_of_the_targets_own_path_leaves_a_column_of_none():
    catalog = Catalog.from_codes(torch.tensor([[0, 0], [0, 1]]), 2)
    backbone = TableBackbone(catalog.vocab_size, seed=0)
    histories = torch.tensor([[0]])
    (best,) = beam_search(backbone, histories, catalog, 1).leaves[:, 0].tolist()
    found = mine(backbone, catalog, histories, torch.tensor([best]), beam_width=1)
    assert found.leaves.tolist() == [[best, -1]]
    assert found.depths.tolist() == [[2, 0]]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), mask=st.sampled_from(["after", "before"]))
def test_titles_are_mined_as_any_items(seed, mask):
    catalog = title_like_catalog(seed, num_items=10)
    paths = [tuple(t for t in path if t >= 0) for path in catalog.leaf_tokens.tolist()]
    backbone = TableBackbone(catalog.vocab_size, seed=seed % 1000)
    targets = torch.arange(NUM_USERS) % catalog.num_leaves
    histories = torch.arange(NUM_USERS)[:, None]
    p = Problem(catalog, paths, backbone, histories, targets, mask)
    found = mine(backbone, catalog, histories, targets, 2, mask)
    for user, target in enumerate(targets.tolist()):
        mined = mined_prefixes(p, found, user)
        for depth, kept in enumerate(brute_force_beam(p, user, 2), start=1):
            at_depth = {prefix[:depth] for prefix in mined if len(prefix) >= depth}
            own = paths[target][:depth]
            assert at_depth - {own} == kept - {own}


@settings(max_examples=20)
@given(**PROBLEMS, beam_width=st.integers(1, 6), num_words=st.integers(1, 6))
def test_titles_are_mined_along_their_runs_with_the_same_result(
    seed, num_values, mask, beam_width, num_words
):
    catalog = title_like_catalog(seed, 20, num_words=num_words)
    backbone = TableBackbone(catalog.vocab_size, seed % 1000, num_values)
    histories, targets = torch.arange(4)[:, None], torch.arange(4) % catalog.num_leaves
    with step_by_step():
        expected = mine(backbone, catalog, histories, targets, beam_width, mask, chunk_size=3)
    with along_runs():
        found = mine(backbone, catalog, histories, targets, beam_width, mask, chunk_size=3)
    assert torch.equal(found.leaves, expected.leaves)
    assert found.depths is not None
    assert expected.depths is not None
    assert torch.equal(found.depths, expected.depths)


@pytest.mark.parametrize("mask", ["after", "before"])
def test_titles_take_as_many_calls_as_a_beam_search(mask):
    class Counting(TableBackbone):
        calls = 0

        def extend(self, context, nodes, cache=None):
            self.calls += 1
            return super().extend(context, nodes, cache)

    catalog = title_like_catalog(3, 40)
    counts = []
    for runs in (along_runs, step_by_step):
        backbone = Counting(catalog.vocab_size)
        with runs():
            mine(backbone, catalog, torch.arange(2)[:, None], torch.arange(2), 3, mask)
        counts.append(backbone.calls)
    along, stepwise = counts
    assert 2 * along <= stepwise
