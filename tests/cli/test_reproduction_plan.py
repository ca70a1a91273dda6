"""A plan is told in full or in one line; a budget is a time with units."""

import json
import math

import pytest

from beamwise.cli.reproduction_plan import print_plan, seconds_of
from beamwise.experiments.comparison_plan import Plan, PlannedWork

PLAN = Plan(
    (
        PlannedWork("ce", "ce, seed 0", "done", 0.0, 0.0),
        PlannedWork("ce", "ce, seed 1", "begun", 40.0, 20.0),
        PlannedWork("apao", "apao, seed 0", "to be trained", 7200.0, None),
    )
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", math.inf), ("9m", 540.0), ("1h30m", 5400.0), ("45s", 45.0), ("1h1s", 3601.0)],
)
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["9", "0m", "m9", "9 m", "1.5h", "30m1h", "soon"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=rf"--budget must be a time as 9m, .*got '{text}'"):
        seconds_of(text)


def test_a_line_a_run(capsys):
    print_plan(PLAN)
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if "seed" in line]
    assert [("begun" in line, "40.0 s" in line, "20.0 s" in line) for line in lines] == [
        (False, False, False),
        (True, True, True),
        (False, False, False),
    ]
    assert "2.0 h" in lines[2]
    assert "not timed yet" in lines[2]
    assert err == (
        "1 of 3 runs are done; left: 2.0 h of one process, all epochs counted, but not what was "
        "never timed\n"
    )


def test_one_line_for_the_whole(capsys):
    print_plan(Plan(PLAN.works[:2]), brief=True)
    print_plan(Plan(PLAN.works[:1]), brief=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "1 of 2 runs are done; left: 60.0 s of one process at most, all epochs counted",
        "1 of 1 runs are done",
    ]


def test_json_lines(capsys):
    print_plan(PLAN, json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == PLAN.works[1]._asdict()
    assert lines[-1] == {"runs": 3, "done": 1, "seconds_left": 7260.0, "all_timed": False}
