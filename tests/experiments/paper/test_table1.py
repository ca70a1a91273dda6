"""Table 1: its methods, APAO against the best of the others, and what exact ranking closes."""

from dataclasses import replace

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import table1
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.setting import Setting
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method


def test_the_papers_methods_and_grids(tmp_path):
    comparison = Comparison(table1.comparison(Setting("beauty", "llama")), tmp_path)
    assert list(comparison.methods) == [
        "ce", "ce-tuned", "msl", "ce-dpo", "ce-dmpo", "ce-s-dpo", "apao-pointwise", "apao-pairwise",
    ]  # fmt: skip
    assert list(comparison.methods["ce-s-dpo"].points) == ["beta=0.5", "beta=1.0", "beta=2.0"]
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["msl"].evaluation.mask == "before"
    assert runs["ce-dpo"].negatives.count == 1
    assert runs["apao-pointwise"].training.batch_size == 1024


@pytest.mark.parametrize(
    ("backbone", "size", "rates"),
    [
        ("tiger", "paper", [3e-4, 5e-4, 1e-3]),
        ("tiger", "small", [1e-3, 2e-3, 4e-3]),
        ("llama", "small", [1.5e-3, 3e-3, 6e-3]),
    ],
)
def test_cross_entropy_is_tuned_too(backbone, size, rates, tmp_path):
    comparison = Comparison(table1.comparison(Setting("office", backbone, size)), tmp_path)
    runs = [run.config for run in comparison.any_runs("ce-tuned") if run.seed == 0]
    assert [config.training.learning_rate for config in runs] == pytest.approx(rates)
    assert {config.objective.name for config in runs} == {"ce"}
    assert "ce-tuned" not in table1.printed(Setting("office", backbone, size))


def test_the_section_has_the_paper_ours_and_the_tests(evidence_of):
    section = table1.section(evidence_of("table1"))
    assert [table.name for table in section.tables] == [
        "beside-the-paper", "differences", "against-the-best",
    ]  # fmt: skip
    beside, differences, gains = section.tables
    assert [row[0] for row in beside.rows] == ["ce", "apao-pointwise", "apao-pairwise"]
    assert beside.rows[0][2::2][:4] == (0.0608, 0.1013, 0.0292, 0.0394)
    assert len(differences.rows) == 2
    assert len(gains.rows) == 2 * 4
    row = next(each for each in gains.rows if each[:2] == ("apao-pairwise", "recall@20"))
    ours, theirs = (beside.rows[place][5].mean for place in (2, 0))
    assert row[2] == pytest.approx(ours / theirs - 1)
    assert row[3].mean == pytest.approx(ours - theirs)
    assert section.setting == "Office, TIGER, small models"
    assert sum("under exact ranking" in finding for finding in section.findings) == 2
    assert section.command == "beamwise reproduce table1"
    assert section.made_by[1:] == ("seeds 0, 1 of ce, apao-pointwise, apao-pairwise",)
    assert "ce has the best validation metric among ce, mean over seeds 0, 1" in gains.note
    assert "The best on validation targets among ce is ce." in section.findings


def test_without_apao_there_is_nothing_against_the_best(evidence_of):
    section = table1.section(evidence_of("table1", ("ce",)))
    assert [table.name for table in section.tables] == ["beside-the-paper", "differences"]


def test_unequal_seeds_are_compared_where_both_have_them(evidence_of, setting):
    there = evidence_of("table1")
    one = Evidence(setting, there.comparison, there.methods, (0,), "")
    expected = one.of_method("apao-pairwise").metrics["recall@20"].test.difference
    two = Evidence(setting, there.comparison, there.methods, (0, 1), "")
    cut = tuple(
        replace(each, seeds=(0,), runs=each.runs[:1]) if each.name == "apao-pairwise" else each
        for each in two.figures.methods
    )
    vars(two)["figures"] = replace(two.figures, methods=cut)
    section = table1.section(two)
    rows = {row[:2]: row for row in section.tables[2].rows}
    assert rows["apao-pairwise", "recall@20"][3].mean == expected
    assert "mean over seed 0, which" in section.tables[2].note
    (said,) = [text for text in section.findings if text.startswith("apao-pairwise differs")]
    assert f"by {expected:+.4f} under beam search" in said


def test_what_cannot_be_divided_is_undefined():
    best, own = method("msl", 0.0), method("apao-pairwise", 0.1, 0.1, 0.02)
    assert table1._relative(own, best, "recall@20") is None
    assert table1._best_finding(own, best, "recall@20") == (
        "apao-pairwise against msl: undefined of R@20, p .020 after Holm's correction."
    )


def test_without_a_rival_that_is_said(setting):
    runs = [RunFigures(0, 4, None, None)]  # never validated
    methods = (method("ce", runs=runs), method("apao-pairwise", 0.1, 0.0))
    findings, tables = table1._against_best(evidence_from(setting, *methods))
    assert tables == ()
    assert findings[0].startswith("APAO against the best of the others: undefined, no other")
