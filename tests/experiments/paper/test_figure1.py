"""Figure 1: times of three searches, and what a beam keeps of the true best."""

import pytest

from beamwise.experiments.paper import figure1
from beamwise.experiments.saved_survival import SavedSort, SavedTime

from .conftest import evidence_from, method, survival


def test_times_and_retention_of_the_reports(evidence_of):
    evidence = evidence_of("figure1")
    section = figure1.section(evidence)
    rows = {row[0]: row for row in section.tables[0].rows}
    assert list(rows) == ["ce", "apao-pointwise", "apao-pairwise"]
    reports = list(evidence.diagnosed["ce"].values())
    beam, exact, full = (
        sum(time.milliseconds_per_user for time in times) / 2
        for times in (
            [report.beam.time for report in reports],
            [report.exact.time for report in reports],
            [report.full_sort.time for report in reports],
        )
    )
    ce = rows["ce"]
    assert [cell.mean for cell in ce[1:4]] == pytest.approx([beam, exact, full])
    ratios = [
        report.exact.time.milliseconds_per_user / report.beam.time.milliseconds_per_user
        for report in reports
    ]
    assert ce[4].mean == pytest.approx(sum(ratios) / 2)
    ratios = [
        report.full_sort.time.milliseconds_per_user
        / report.full_sort.beam_time.milliseconds_per_user
        for report in reports
    ]
    assert ce[5].mean == pytest.approx(sum(ratios) / 2)
    times, retention = section.charts
    assert [series.name for series in times.series] == ["beam search", "exact search", "full sort"]
    for place, series in enumerate(times.series):
        assert series.x == tuple(rows)
        assert series.y == tuple(row[1 + place] for row in rows.values())
    assert (times.y.label, times.y.log) == ("milliseconds a user", True)
    series = retention.series[0]
    kept = [report.beam.retention for report in reports]
    assert [value.mean for value in series.y] == pytest.approx(
        [sum(values) / 2 for values in zip(*kept, strict=True)]
    )
    assert f"{series.y[-1].mean:.1%} of its true best 20" in section.findings[0]


def test_a_full_sort_is_set_beside_a_beam_of_the_same_users(setting):
    plain = survival((10, 5, 1, 1))
    timed = plain.model_copy(
        update={
            "full_sort": SavedSort(
                time=SavedTime(milliseconds_per_user=60.0),
                beam_time=SavedTime(milliseconds_per_user=4.0),
            )
        }
    )
    reports = {"ce": {0: timed}, "msl": {0: plain}}
    methods = (method("ce"), method("msl", 0.1, 0.0))
    evidence = evidence_from(setting, *methods, experiment="figure1", reports=reports)
    section = figure1.section(evidence)
    ce, msl = section.tables[0].rows
    assert (ce[3].mean, ce[5].mean) == (60.0, 15.0)
    assert msl[1:] == (None,) * 5
    (series,) = section.charts[0].series  # what was not timed is not drawn
    assert (series.name, series.x, [value.mean for value in series.y]) == (
        "full sort",
        ("ce",),
        [60.0],
    )


def test_without_times_retention_alone_is_drawn(setting):
    reports = {"ce": {0: survival((10, 5, 1, 1))}}
    evidence = evidence_from(setting, method("ce"), experiment="figure1", reports=reports)
    assert [chart.name for chart in figure1.section(evidence).charts] == ["retention"]
