"""What is there and not there of an experiment's runs."""

import pytest

from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.experiments.paper.evidence import Evidence, estimate, listed
from beamwise.experiments.paper.setting import Setting

from .conftest import evidence_from, method


def test_intervals_and_tests_become_estimates():
    assert estimate(Interval(0.1, 0.08, 0.13, None, 1, False)).model_dump() == {
        "mean": 0.1, "low": 0.08, "high": 0.13,
    }  # fmt: skip
    assert estimate(PairedTest(-0.01, -0.02, 0.03, 0.5, True, 0.4)).mean == -0.01


def test_evidence_tells_what_is_there(evidence_of):
    evidence = evidence_of("figure1", ("ce", "apao-pointwise"))
    assert list(evidence.diagnosed) == ["ce", "apao-pointwise"]
    assert [list(reports) for reports in evidence.diagnosed.values()] == [[0, 1], [0, 1]]
    assert evidence.of_method("msl") is None
    assert evidence.of_method("ce").seeds == (0, 1)
    assert evidence.missing == ("msl: left out", "ce-s-dpo: left out", "apao-pairwise: left out")
    makers, seeds = evidence.made_by
    assert makers.startswith("4 runs: ")
    assert seeds == "seeds 0, 1 of ce, apao-pointwise"
    against = evidence.against("apao-pointwise")
    assert against.baseline == "apao-pointwise"
    pair = [
        each.metrics["recall@20"].test
        for each in (against.methods[0], evidence.of_method("apao-pointwise"))
    ]
    assert pair[0].difference == -pair[1].difference
    assert evidence.against("ce", seeds=(1,)).methods[1].seeds == (1,)


def test_trainings_are_read_from_the_runs_and_their_sources(evidence_of):
    evidence = evidence_of("figure1", ("ce", "apao-pointwise"))
    assert {name: list(runs) for name, runs in evidence.trained.items()} == {
        "ce": [0, 1], "apao-pointwise": [0, 1],
    }  # fmt: skip
    run = evidence.trained["ce"][0]
    assert (run.epochs, run.limit, run.best_epoch, run.source) == (1, 1, 1, None)
    assert run.is_capped
    assert run.epoch_seconds > 0
    assert len(run.machines) == 1


def test_what_is_missing_is_named(evidence_of):
    there = evidence_of("figure1", ("ce", "apao-pointwise"))
    folder = there.comparison.final_run("apao-pointwise", 1).folder
    kept = (folder / "survival.json").read_bytes()
    (folder / "survival.json").unlink()
    try:
        evidence = Evidence(there.setting, there.comparison, there.methods, (0, 1, 2), "")
        assert evidence.missing[:4] == (
            "ce: no test of seed 2",
            "apao-pointwise: no test of seed 2",
            "ce: no survival report of seed 2",
            "apao-pointwise: no survival report of seeds 1, 2",
        )
        assert list(evidence.survivals("apao-pointwise")) == [0]
        assert evidence.made_by[1:] == ("seeds 0, 1 of ce, apao-pointwise",)
    finally:
        (folder / "survival.json").write_bytes(kept)


def test_evidence_without_survival_reports_says_so(evidence_of):
    evidence = evidence_of("table1", ("ce",))
    with pytest.raises(ValueError, match="no survival report of any method in"):
        evidence.diagnosed  # noqa: B018


@pytest.mark.parametrize(
    ("size", "changed", "is_the_papers"),
    [
        ("paper", (), True),
        ("small", (), False),
        ("paper", ("survival.widths=[5]", "seeds=[0,1]"), True),
        ("paper", ("seeds=[0,1]", "settings.training.epochs=1"), False),
        ("paper", ("evaluation.beam_width=50",), False),
    ],
)
def test_levels_compare_with_the_papers_models_only(size, changed, is_the_papers):
    evidence = evidence_from(Setting("office", "tiger", size), method("ce"), changed=changed)
    assert evidence.has_the_papers_models == is_the_papers


def test_seeds_are_listed():
    assert (listed((3,)), listed((0, 2))) == ("seed 3", "seeds 0, 2")
