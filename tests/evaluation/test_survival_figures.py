"""Distributions, the advised width and what JSON says, by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import polars as pl
import pytest

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import SearchTime, SurvivalConfig, WidthCounts
from beamwise.evaluation.survival_figures import BELOW_K, Advice, Survival
from beamwise.evaluation.survival_levels import ToldLevel
from beamwise.testing.survival_example import example_survival

CONFIG = SurvivalConfig(ks=(2,), beam_width=2, widths=(1, 2, 4, 8), tolerance=0.1)


def counts(width: int, recall: int | float, retained: int) -> WidthCounts:
    metrics = {"recall@2": float(recall), "ndcg@2": float(recall)} if width >= 2 else {}
    outcomes = SurvivalCounts(found=1, outscored=3, best_leaves=100, retained_leaves=retained)
    return WidthCounts(
        width, outcomes, (2, 1), (100, retained), (0, 0), (2, 1), 1, 0, 0, 1, 12, metrics
    )


def survival(*recalls: float, retained: tuple[int, ...] = (50, 80, 99, 100)) -> Survival:
    per_user = pl.DataFrame(
        {
            "row": [0, 1, 2, 3],
            "reachable": [True, True, True, False],
            "rank_1": [1, 2, 6, -1],
            "margin_1": [0.5, 0.0, -2.0, math.inf],
            "rank_2": [9, 2, 4, -1],
            "margin_2": [math.inf] * 4,
        }
    )
    widths = tuple(
        counts(width, recall, kept)
        for width, recall, kept in zip((1, 2, 4, 8), recalls, retained, strict=True)
    )
    return Survival(CONFIG, per_user, widths, {"recall@2": 0.25, "ndcg@2": 0.25}, {})


def test_levels_told_of_together():
    """Of four levels, the second and third are told of with the first."""
    four = replace(
        counts(2, 1, 80), kept_targets=(4, 3, 2, 1), kept_leaves=(100, 95, 90, 80),
        pruned_at=(1, 2, 4, 8), outscored_at=(3, 0, 1, 0),
    )  # fmt: skip
    told = (ToldLevel(1, 3, "1-3"), ToldLevel(4, 4, "items"))
    plain = survival(0, 1, 1, 1)
    per_user = plain.per_user.rename({"rank_2": "rank_4", "margin_2": "margin_4"})
    found = replace(plain, per_user=per_user, widths=(four,), told=told)
    assert found.by_level(four) == [(2, 90, 7, 4), (1, 80, 8, 0)]
    assert found.prefix_recall(four) == [0.5, 0.25]
    assert found.retention(four) == [0.9, 0.8]
    assert [(each.level, each.name) for each in found.levels()] == [(1, "1-3"), (4, "items")]
    assert found.levels()[1].places == CONFIG.top_k
    assert (found.level_name, plain.level_name) == ("token", "level")
    content = found.as_dict()
    assert content["widths"][0]["pruned_at"] == [7, 8]
    assert [level["name"] for level in content["told_levels"]] == ["1-3", "items"]


def test_levels():
    first, second = survival(0, 1, 1, 1).levels()
    assert (first.level, first.targets, first.places) == (1, 3, 2)
    assert first.within == pytest.approx(2 / 3)
    assert first.rank["mean"] == 3
    assert first.rank["q50"] == 2
    assert first.margin is not None
    assert first.margin["mean"] == pytest.approx(-0.5)
    assert first.margin["q50"] == 0
    assert second.margin is None  # nobody is last where fewer compete than have places
    assert second.rank["q50"] == 4


@pytest.mark.parametrize(
    ("recalls", "width"),
    [
        ((0, 1.0, 1.0, 1.0), 2),  # 0.25 each
        ((0, 0.8, 0.91, 1.0), 4),  # 0.2 is 20 % below, 0.2275 is 9 %
        ((0, 2.0, 0.8, 1.0), 8),  # a lucky narrow beam is not advised where a wider one falls short
        ((0, 1.0, 1.0, 0.8), None),
    ],
)
def test_advised_width(recalls, width):
    assert survival(*recalls).advice().width == width


def test_the_width_that_returns_the_best_leaves():
    assert survival(0, 1, 1, 1).advice() == Advice(width=2, complete=4)
    assert survival(0, 1, 1, 1, retained=(50, 80, 90, 98)).advice().complete is None


def test_disagreement_is_told_beyond_rounding():
    times = {"2": SearchTime(1.0, 100, 99), "4": SearchTime(1.0, 100, 90), "8": SearchTime()}
    assert replace(survival(0, 1, 1, 1), times=times).disagreeing() == ["4"]


def test_plain_values_are_json_and_complete():
    report = example_survival()
    content = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert content["users"] == 60
    assert [each["width"] for each in content["widths"]] == [2, 4, 8, 16]
    beam = content["widths"][1]
    assert beam["metrics"]["recall@4"] == report.beam.mean("recall@4")
    assert beam["retention"][-1] == beam["outcomes"]["shares"]["retention"]
    assert beam["prefix_recall"][-1] == beam["metrics"]["recall@4"]
    assert beam["time"]["users"] == 6
    assert [level["level"] for level in content["levels"]] == [1, 2, 3]


def test_a_beam_narrower_than_k_is_not_compared_with_the_best_k():
    report = example_survival()
    assert [each.width for each in report.wide_enough] == [4, 8, 16]
    narrow, beam, *_ = report.as_dict()["widths"]
    for name in BELOW_K:
        assert narrow[name] is None
        assert beam[name] is not None
    for name in ("metrics", "prefix_recall", "kept_targets", "within", "prefixes", "time"):
        assert narrow[name] is not None


def test_unreachable_targets():
    assert survival(0, 1, 1, 1).unreachable == 1
    assert survival(0, 1, 1, 1).users == 4
