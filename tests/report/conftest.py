"""A comparison of three methods, with round figures."""

import pytest

from beamwise.evaluation.pruned_targets import PrunedTargets
from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.evaluation.survival import SurvivalCounts
from beamwise.report.inspection import (
    InspectedItem,
    InspectedLevel,
    InspectedPrefix,
    InspectedResult,
    Inspection,
    TargetAtLevel,
)
from beamwise.report.objective_comparison import (
    ComparisonFigures,
    MethodFigures,
    MetricFigures,
    RunFigures,
    TriedPoint,
)
from beamwise.report.section import Axis, Chart, Column, Estimate, Section, Series, Table

NAMES = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")


def metric_figures(mean, difference=None, p=1.0):
    interval = Interval(mean, mean - 0.01, mean + 0.02, 0.003, 2, True)
    if difference is None:
        return MetricFigures(interval, None, None)
    test = PairedTest(difference, difference - 0.004, difference + 0.005, p / 2, True, p / 3)
    return MetricFigures(interval, test, p)


def method_figures(name, differences=(None, None, None), p_values=(1.0, 1.0, 1.0), **changes):
    """With differences of all metrics under beam search, under exact ranking, and of survival."""
    beam, exact, survival = zip(differences, p_values, strict=True)
    metrics = {each: metric_figures(0.1, *beam) for each in NAMES}
    metrics |= {f"{each}_full_sort": metric_figures(0.2, *exact) for each in NAMES}
    metrics["survival@10"] = metric_figures(-0.1, *survival)
    figures = {
        "name": name,
        "seeds": (0, 1),
        "start_from": None,
        "objective": "ce",
        "metrics": metrics,
        "by_item": {"recall@10_by_item": 0.09, "recall@10_by_item_full_sort": 0.19},
        "survival": SurvivalCounts(30, 10, 5, 55, 1000, 646),
        "pruned": PrunedTargets({1: 6, 2: 2, 7: 1}, 4),
        "runs": (RunFigures(0, 4, 0.05, 40.0), RunFigures(1, 6, 0.07, 60.0)),
        "tried": (),
        "chosen": {},
    }
    return MethodFigures(**(figures | changes))


@pytest.fixture
def compared() -> ComparisonFigures:
    tried = (
        TriedPoint({"a.b": 1}, 0.04, (RunFigures(0, 5, 0.04, 70.0),)),
        TriedPoint({"a.b": 2}, 0.05, (RunFigures(0, 4, 0.05, 40.0),)),
    )
    return ComparisonFigures(
        title="Three methods",
        baseline="ce",
        ks=(5, 10),
        beam_width=10,
        users=1234,
        selection="ndcg@10",
        resamples=500,
        methods=(
            method_figures("ce"),
            method_figures(
                "tuned", (0.01, 0.03, -0.02), (0.2, 0.01, 0.04), tried=tried, chosen={"a.b": 2}
            ),
            method_figures("later", (0.01, -0.01, 0.02), start_from="ce", objective="s-dpo"),
        ),
        missing={"msl": "no test of seed 1"},
    )


@pytest.fixture
def inspected() -> Inspection:
    """A beam of two over two levels, which lost the target, second of all, at once."""
    mug, other = InspectedItem("i-1", "A <red> mug"), InspectedItem("i-2", None)
    third = InspectedItem("i-3", "Tea pot")

    def prefix(node, parent, codes, log_prob, rank, state, *, target=False, ranks=()):
        tokens = tuple(2 + 256 * level + code for level, code in enumerate(codes))
        return InspectedPrefix(
            node, parent, tokens, codes, None, log_prob, rank, state, 5, (mug, other), ranks, target
        )

    first = InspectedLevel(
        1, 1, False, 2, 1, 6, 4,
        (prefix(1, 0, (7,), -0.5, 1, "kept", ranks=(1,)), prefix(2, 0, (8,), -1.5, 2, "kept")),
        (
            prefix(3, 0, (9,), -1.75, 3, "pruned", target=True, ranks=(2,)),
            prefix(4, 0, (11,), -3.0, 4, "pruned"),
        ),
        TargetAtLevel("pruned", -1.75, 3, -0.25),
    )  # fmt: skip
    second = InspectedLevel(
        2, 2, False, 2, 2, 5, 3,
        (
            prefix(10, 1, (7, 3), -1.0, 1, "returned", ranks=(1,)),
            prefix(11, 2, (8, 0), -2.0, 2, "returned"),
        ),
        (prefix(12, 2, (8, 1), -2.5, 3, "outscored"),),
        TargetAtLevel("lost before", -1.8, 2, 0.2),
    )  # fmt: skip
    return Inspection(
        user_id="u<1>",
        split="test",
        history=(other, third),
        num_unread=0,
        max_history=20,
        splitting="leave-one-out",
        skipped=(),
        target=mug,
        target_retired=False,
        beam_width=2,
        top_k=2,
        mask="after",
        num_items=30,
        num_levels=2,
        level_name="level",
        codebook_size=256,
        levels=(first, second),
        results=(
            InspectedResult("i-3", "Tea pot", -1.0, 1, 1, None, False),
            InspectedResult("i-1", "A <red> mug", -1.8, None, 2, 1, True),
            InspectedResult("i-2", None, -2.0, 2, None, None, False),
        ),
        beam_exact=False,
        exact_proved=True,
        target_rank=2,
    )


def estimate(mean, half=None):
    return Estimate(mean=mean, low=half and mean - half, high=half and mean + half)


@pytest.fixture
def bars() -> Chart:
    """Two methods at two metrics, the second method with intervals."""
    return Chart(
        name="quality",
        title="Quality <of> methods",
        kind="bars",
        x=Axis(label="metric"),
        y=Axis(label="value of the metric"),
        series=(
            Series(name="ce", x=("R@10", "R@20"), y=(estimate(0.25), estimate(0.5))),
            Series(name="msl", x=("R@10", "R@20"), y=(estimate(0.5, 0.125), estimate(0.75, 0.25))),
        ),
        lines_at={"paper": 0.4},
        note="Higher & better.",
    )


@pytest.fixture
def full_section(bars) -> Section:
    """Every part of a section, with signs that Markdown, CSV and HTML read as their own."""
    table = Table(
        name="quality-table",
        title="Quality",
        columns=(
            Column(name="method"),
            Column(name="paper", unit="metric", group="R@20"),
            Column(name="ours", unit="metric", group="R@20"),
            Column(name="p", unit="p"),
            Column(name="says"),
        ),
        rows=(
            ("CE", 0.0631, estimate(0.071, 0.002), None, 'as "printed", <b>'),
            ("MSL | legal", None, 0.0798, 0.0004, "no value\nin the paper"),
        ),
        note="Mean and 95 % interval.",
    )
    return Section(
        name="table1",
        title="Table 1: methods & <backbones>",
        setting="Office, TIGER",
        method=("All with the same `schedule`.", "Five seeds."),
        findings=("MSL gains +.0088.", "p < .001 & so on"),
        tables=(table,),
        charts=(bars,),
        made_by=("code 888a602", "one core, seeds 0 to 4"),
        missing=("DPO: seed 4",),
        command="beamwise reproduce table1 --seeds 5",
    )
