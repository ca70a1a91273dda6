"""Where a beam loses the targets, beside Python lists and beside the survival report."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, exact_ranking
from beamwise.decoding.request import SearchRequest, widths_by_level
from beamwise.evaluation import EvaluationConfig, evaluate_windows
from beamwise.evaluation.pruned_targets import PrunedTargets, where_pruned
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.testing.brute_force import BruteForce
from beamwise.testing.survival_example import random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

NUM_USERS = 60


def catalog_of(kind: str, seed: int) -> Catalog:
    if kind == "titles":
        return random_titles(seed, num_items=40, num_words=3)
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 4, (40, 3), generator=generator)
    return Catalog.from_codes(codes, codebook_size=4)


def naive_loss(
    naive: BruteForce, paths: list[tuple[int, ...]], path: tuple[int, ...], widths: list[int]
) -> tuple[int, bool] | None:
    """Tokens of the first prefix lost, and whether its last token explains that."""
    prefixes = {each[:n] for each in paths for n in range(1, len(each) + 1)}
    beam: set[tuple[int, ...]] = {()}
    for number, width in enumerate(widths, start=1):
        reached = {p for p in prefixes if len(p) == number and p[:-1] in beam} - set(paths)
        ranked = sorted(reached, key=lambda p: (-naive.log_prob(p), p))
        beam = set(ranked[:width])
        prefix = path[:number]
        if len(prefix) == number and prefix != path and prefix not in beam:
            siblings = [p for p in ranked if p[:-1] == prefix[:-1]]
            return number, siblings.index(prefix) >= width
    return None


@pytest.mark.parametrize("mask", ["after", "before"])
@pytest.mark.parametrize(
    ("kind", "width", "explained"),
    [
        ("codes", 2, {True, False}),
        ("codes", 3, {True, False}),
        ("titles", 2, {True, False}),
        ("titles", 3, {False}),  # no prefix has more than three tokens to go on with
    ],
)
def test_says_where_lists_and_sets_lose_a_target(kind, mask, width, explained):
    catalog = catalog_of(kind, seed=3)
    paths = [tuple(t for t in row if t >= 0) for row in catalog.leaf_tokens.tolist()]
    widths = [width] * (catalog.num_levels - 1) + [4]
    backbone = TableBackbone(catalog.vocab_size, seed=5)
    windows = random_windows(40, NUM_USERS)
    rows = torch.arange(NUM_USERS)
    histories = windows.histories(rows)
    leaves = catalog.leaf_of_item[windows.targets(rows)].long()
    request = SearchRequest(backbone, histories, catalog, 4, mask, None)
    found = where_pruned(request, widths, leaves)
    expected = []
    for row, leaf in enumerate(leaves.tolist()):
        read = backbone.encode_histories(windows.histories(rows[row : row + 1]), catalog)
        tokens = read.tokens[0].tolist()  # of one user alone, so without padding
        naive = BruteForce(paths, lambda p, t=tokens: backbone.next_token_logits(t, p), mask)
        expected.append(naive_loss(naive, paths, paths[leaf], widths) or (0, False))
    assert list(zip(*(each.tolist() for each in found), strict=True)) == expected
    assert len({at for at, _ in expected}) > 2
    assert explained == {by_token for at, by_token in expected if at}


@pytest.mark.parametrize("kind", ["codes", "titles"])
def test_an_evaluation_tells_it_of_the_pruned_targets(kind):
    catalog, windows = catalog_of(kind, seed=1), random_windows(40, 300)
    backbone = TableBackbone(catalog.vocab_size, seed=2)
    config = EvaluationConfig(ks=(1, 3), beam_width=3, batch_size=7, full_sort=True)
    found = evaluate_windows(backbone, windows, catalog, config)
    assert found.survival is not None
    told = PrunedTargets.of([found.per_user])
    assert told is not None
    assert told.total == found.survival.pruned > 3
    pruned = pl.col("leaf_rank_full_sort").is_not_null() & pl.col("leaf_rank").is_null()
    lost = found.per_user.filter(pruned)
    assert (lost["pruned_at"] >= 1).all()
    assert lost["pruned_by_token"].null_count() == 0
    kept = found.per_user.filter(~pruned)
    assert kept["pruned_at"].null_count() == kept["pruned_by_token"].null_count() == len(kept)
    report = measure_survival(
        backbone, windows, catalog, SurvivalConfig(ks=(1, 3), beam_width=3, widths=(3,))
    )
    by_level = report.of_width(3).pruned_at
    assert told.at == {n: count for n, count in enumerate(by_level, start=1) if count}
    assert not any("pruned" in name for name in found.summary)


def test_a_wide_beam_loses_nothing():
    catalog, windows = catalog_of("codes", seed=1), random_windows(40, 5)
    config = EvaluationConfig(ks=(1, 3), beam_width=64, full_sort=True)
    found = evaluate_windows(TableBackbone(catalog.vocab_size, seed=2), windows, catalog, config)
    assert PrunedTargets.of([found.per_user]) == PrunedTargets({}, 0)


def test_adds_up_over_evaluations():
    first = pl.DataFrame({"pruned_at": [None, 2, 1], "pruned_by_token": [None, True, False]})
    second = pl.DataFrame({"pruned_at": [2, None], "pruned_by_token": [True, None]})
    told = PrunedTargets.of([first, second])
    assert told == PrunedTargets({1: 1, 2: 2}, 2)
    assert told.total == 3
    assert list(told.at) == [1, 2]


def test_knows_nothing_of_what_was_not_asked():
    asked = pl.DataFrame({"pruned_at": [1], "pruned_by_token": [True]})
    assert PrunedTargets.of([]) is None
    assert PrunedTargets.of([asked, pl.DataFrame({"row": [0]})]) is None


def test_repeats_the_search_that_lost_them():
    catalog, windows = catalog_of("titles", seed=4), random_windows(40, NUM_USERS)
    backbone = TableBackbone(catalog.vocab_size, seed=4)
    rows = torch.arange(NUM_USERS)
    histories, leaves = windows.histories(rows), catalog.leaf_of_item[windows.targets(rows)].long()
    best = exact_ranking(backbone, histories, catalog, 3)
    beam = beam_search(backbone, histories, catalog, 3)
    request = SearchRequest(backbone, histories, catalog, 3, "after", None)
    found = where_pruned(request, widths_by_level(3, None, catalog)[0], leaves)
    in_best = (best.leaves == leaves[:, None]).any(dim=1)
    in_beam = (beam.leaves == leaves[:, None]).any(dim=1)
    assert (in_best & ~in_beam).any()
    assert (found.pruned_at > 0)[in_best].equal((~in_beam)[in_best])
