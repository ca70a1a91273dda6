"""What figures say in words, and what they add up to."""

from dataclasses import replace

from beamwise.report.objective_comparison import RunFigures, training_seconds, verdict


def test_the_verdict_names_what_is_established_and_nothing_else(compared):
    baseline, tuned, later = compared.methods
    assert verdict(tuned, 10) == "model better, survival worse"
    assert verdict(later, 10) == "neither is established"
    assert verdict(baseline, 10) == "neither is established"
    metrics = tuned.metrics | {"survival@10": later.metrics["survival@10"]}
    assert verdict(replace(tuned, metrics=metrics), 10) == "model better"


def test_a_difference_is_established_below_5_percent(compared):
    tuned = compared.methods[1]
    assert tuned.metrics["survival@10"].is_established
    assert not tuned.metrics["recall@10"].is_established
    assert not compared.methods[0].metrics["recall@10"].is_established
    at_5 = replace(tuned.metrics["survival@10"], holm_p=0.05)
    assert not at_5.is_established


def test_seconds_are_known_where_every_run_has_them():
    assert training_seconds([RunFigures(0, 1, None, 2.0), RunFigures(1, 1, None, 3.5)]) == 5.5
    assert training_seconds([RunFigures(0, 1, None, 2.0), RunFigures(1, 1, None, None)]) is None
