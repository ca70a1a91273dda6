"""Figure 5: prefix recall by level, and relative to the best of the others."""

import pytest

from beamwise.experiments.paper import figure5
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method, survival


def test_recall_of_prefixes_and_gains_by_seed(evidence_of):
    evidence = evidence_of("figure5")
    section = figure5.section(evidence)
    recall, gain = section.charts
    levels = len(recall.series[0].x)
    reports = evidence.diagnosed
    for series in recall.series:
        kept = [report.beam.prefix_recall for report in reports[series.name].values()]
        means = [sum(values) / 2 for values in zip(*kept, strict=True)]
        assert [value.mean for value in series.y] == pytest.approx(means)
    assert [series.name for series in gain.series] == ["apao-pointwise", "apao-pairwise"]
    ratios = [
        mine.beam.prefix_recall[0] / theirs.beam.prefix_recall[0] - 1
        for mine, theirs in zip(
            reports["apao-pairwise"].values(), reports["ce"].values(), strict=True
        )
    ]
    assert gain.series[1].y[0].mean == pytest.approx(sum(ratios) / 2)
    assert [len(row) for row in section.tables[0].rows] == [levels + 1] * 3
    assert [finding.split(":")[0] for finding in section.findings] == [
        "apao-pointwise", "apao-pairwise",
    ]  # fmt: skip
    assert gain.title == "Prefix recall beside ce"
    assert gain.note.startswith("ce is the best on validation targets among ce, over seeds 0, 1.")


def kept(*recalls):
    return survival((10, 5, 1, 1), prefix_recall=recalls)


def shown(setting, **reports):
    """The section of reports by method and seed, in which msl does better on validation."""
    runs = {
        "msl": [RunFigures(0, 4, 0.9, 1.0), RunFigures(1, 4, 0.9, 1.0)],
        "ce": [RunFigures(seed, 4, 0.1, 1.0) for seed in (0, 1, 2)],
        "apao-pairwise": [RunFigures(seed, 4, 0.5, 1.0) for seed in (0, 1, 2)],
    }
    named = {name.replace("_", "-"): by_seed for name, by_seed in reports.items()}
    methods = [method(name, 0.1, None if name == "ce" else 0.0, runs=runs[name]) for name in named]
    evidence = evidence_from(setting, *methods, experiment="figure5", reports=named)
    return figure5.section(evidence)


def test_only_seeds_of_both_are_divided(setting):
    section = shown(
        setting,
        ce={0: kept(0.5, 0.2), 2: kept(0.1, 0.1)},
        msl={0: kept(0.5, 0.5), 1: kept(0.5, 0.5)},
        apao_pairwise={2: kept(0.2, 0.3), 0: kept(0.5, 0.3)},
    )
    _, gain = section.charts
    assert gain.note.startswith("ce is the best on validation targets among ce, over seeds")
    assert [value.mean for value in gain.series[0].y] == pytest.approx([0.5, 1.25])


def test_an_undefined_ratio_is_left_out_and_no_seed_in_common_is_no_chart(setting):
    section = shown(setting, ce={0: kept(0.5, 0.0)}, apao_pairwise={0: kept(0.6, 0.3)})
    _, gain = section.charts
    assert gain.series[0].x == ("1",)
    assert gain.series[0].y[0].low is None  # one seed
    assert "by level +20.0%, undefined;" in section.findings[0]
    apart = shown(setting, ce={1: kept(0.5, 0.2)}, apao_pairwise={0: kept(0.6, 0.3)})
    assert [chart.name for chart in apart.charts] == ["prefix-recall"]
    assert apart.findings == ()
