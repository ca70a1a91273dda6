"""Parts of sections on survival reports."""

from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.survival_parts import (
    SHOWN,
    beam_time,
    exact_time,
    followed,
    how_followed,
    milliseconds,
    sort_time,
    widths_of,
)


def test_the_methods_are_those_of_table_1_with_reports():
    config = followed(Setting("office", "llama"), "Figure 1")
    assert tuple(method.name for method in config.methods) == SHOWN == config.survival_of


def test_widths_are_those_that_all_reports_have(evidence_of):
    first, second = evidence_of("figure1").diagnosed["ce"].values()
    narrower = second.model_copy(update={"widths": second.widths[:-1]})
    assert widths_of([first, second]) == (5, 20, 100)
    assert widths_of([first, narrower]) == (5, 20)


def test_times_that_were_not_taken_are_none(evidence_of):
    evidence = evidence_of("figure1")
    reports = list(evidence.diagnosed["ce"].values())
    of_beam = [report.of_width(5).time.milliseconds_per_user for report in reports]
    assert milliseconds(reports, beam_time(5)).mean == sum(of_beam) / 2
    assert milliseconds(reports, exact_time).mean > 0
    untimed = [
        report.model_copy(update={"full_sort": report.full_sort.model_copy(update={"time": None})})
        for report in reports
    ]
    assert milliseconds(untimed, sort_time) is None
    assert how_followed(evidence)[0].startswith("40 test users of each run, a beam of 20;")
