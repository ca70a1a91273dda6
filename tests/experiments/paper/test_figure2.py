"""Figure 2: APAO without its parts."""

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import figure2
from beamwise.experiments.paper.setting import Setting


def test_each_part_and_each_prefix_is_left_out_once(tmp_path):
    comparison = Comparison(figure2.comparison(Setting("beauty", "llama")), tmp_path)
    assert len(comparison.methods) == 1 + 2 * (1 + 2 + 4)
    objectives = {
        name: next(iter(comparison.any_runs(name))).config.objective for name in comparison.methods
    }
    assert objectives["apao-pointwise-without-ce"].ce_weight == 0.0
    assert objectives["apao-pairwise-without-adaptive-weights"].prefix_weights == "uniform"
    assert objectives["apao-pairwise-without-prefix-2"].prefixes == (1, 3, 4)
    whole, part = (objectives[f"apao-pointwise{end}"] for end in ("", "-without-prefix-1"))
    assert part.prefixes == (2, 3, 4)
    assert part.model_copy(update={"prefixes": None}) == whole


def test_bars_are_by_what_was_left_out(evidence_of):
    methods = ("ce", "apao-pointwise", "apao-pointwise-without-ce")
    evidence = evidence_of("figure2", methods)
    section = figure2.section(evidence)
    parts, prefixes = section.charts
    assert [series.name for series in parts.series] == ["apao-pointwise", "apao-pairwise"]
    assert parts.series[0].x == ("whole", "without CE", "without prefix loss")
    shown = [value.mean for value in parts.series[0].y]
    means = [
        evidence.of_method(name).metrics["ndcg@10"].interval.mean
        for name in ("apao-pointwise", "apao-pointwise-without-ce", "ce")
    ]
    assert shown == means
    assert parts.series[1].x == ("without prefix loss",)
    assert prefixes.series[0].x == ("whole",)
    assert section.findings[0].startswith("apao-pointwise: of 2 omissions, ")
    assert len(section.findings) == 1


def test_omissions_are_tested_against_the_whole_of_their_form(evidence_of):
    evidence = evidence_of("figure2", ("ce", "apao-pointwise", "apao-pointwise-without-ce"))
    against, differences = figure2.section(evidence).tables
    assert (against.name, differences.name) == ("against-apao-pointwise", "differences")
    whole, *others = against.rows
    assert (whole[0], whole[2], whole[3]) == ("whole", None, None)
    assert [row[0] for row in others] == ["without prefix loss (ce)", "without ce"]
    means = {name: evidence.of_method(name).metrics["ndcg@10"].interval.mean
             for name in ("ce", "apao-pointwise", "apao-pointwise-without-ce")}  # fmt: skip
    assert [row[2].mean for row in others] == pytest.approx(
        [means[name] - means["apao-pointwise"] for name in ("ce", "apao-pointwise-without-ce")]
    )
