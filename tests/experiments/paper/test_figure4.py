"""Figure 4: NDCG@5 and time by beam width."""

import pytest

from beamwise.config import changed_config
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import figure4
from beamwise.experiments.paper.evidence import Evidence

from .conftest import evidence_from, method, survival


def test_quality_and_time_of_every_width(evidence_of):
    evidence = evidence_of("figure4")
    section = figure4.section(evidence)
    quality, time = section.charts
    assert quality.series[0].x == (5.0, 20.0, 100.0)
    reports = list(evidence.diagnosed["ce"].values())
    wide = sum(report.of_width(100).metrics["ndcg@5"] for report in reports) / 2
    assert quality.series[0].y[-1].mean == pytest.approx(wide)
    assert all(value.mean > 0 for series in time.series for value in series.y)
    rows = [row for row in section.tables[0].rows if row[0] == "ce"]
    assert [row[1] for row in rows] == ["5", "20", "100", "exact"]
    exact = sum(report.exact.metrics["ndcg@5"] for report in reports) / 2
    assert rows[-1][2].mean == pytest.approx(exact)
    said = [finding.split(":")[0] for finding in section.findings]
    assert said == [
        f"apao-{variant} with a beam of 20 beside ce with one of 100"
        for variant in ("pointwise", "pairwise")
    ]


def reported(**by_seed):
    """Reports with NDCG@5 of widths 20 and 100, by seed."""
    return {
        int(seed[1:]): survival((20, 9, 1, 1), (100, 9, 1, 1), ndcg={20: ndcg[0], 100: ndcg[1]})
        for seed, ndcg in by_seed.items()
    }


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (
            {"s0": (0.42, 0), "s1": (0.43, 0)},
            "+0.0250 [-0.0385, +0.0885] over seeds, no difference",
        ),
        ({"s0": (0.42, 0), "s1": (0.42, 0)}, "+0.0200 [+0.0200, +0.0200] over seeds, at least as"),
        ({"s0": (0.40, 0), "s1": (0.40, 0)}, "+0.0000 [+0.0000, +0.0000] over seeds, at least as"),
        ({"s0": (0.30, 0), "s1": (0.30, 0)}, "-0.1000 [-0.1000, -0.1000] over seeds, below it"),
        ({"s0": (0.99, 0)}, "+0.5900 with one seed, no difference is established."),
        ({"s0": (0.99, 0), "s7": (0.1, 0)}, "+0.5900 with one seed, no difference is established."),
    ],
)
def test_a_claim_needs_an_interval_over_shared_seeds(setting, mine, said):
    reports = {"ce": reported(s0=(0, 0.4), s1=(0, 0.4)), "apao-pairwise": reported(**mine)}
    methods = (method("ce"), method("apao-pairwise", 0.1, 0.0))
    evidence = evidence_from(setting, *methods, experiment="figure4", reports=reports)
    (finding,) = figure4.section(evidence).findings
    assert said in finding


def test_a_missing_cutoff_is_named(evidence_of):
    there = evidence_of("figure4", ("ce",))
    config = changed_config(there.comparison.config, None, ["survival.ks=[10,20]"])
    comparison = Comparison(config, there.comparison.out)
    evidence = Evidence(there.setting, comparison, ("ce",), (0,), "")
    with pytest.raises(ValueError, match=r"survival.ks is \[10, 20\]: add that cutoff"):
        figure4.section(evidence)
