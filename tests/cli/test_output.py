"""What is printed, and where."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from beamwise.cli import output
from beamwise.experiments.comparison import Row


def test_json_is_one_line_with_paths_as_text():
    line = output.json_line({"folder": Path("a") / "b", "title": "Käse\n"})
    assert json.loads(line) == {"folder": "a/b", "title": "Käse\n"}
    assert "\n" not in line


def test_what_is_no_json_is_an_error():
    with pytest.raises(TypeError, match="no JSON form of set"):
        output.json_line({"a": {1}})
    with pytest.raises(ValueError, match="JSON"):
        output.json_line({"a": float("nan")})


def test_messages_go_to_standard_error_on_one_line(capsys):
    output.message("[bold]" + "long " * 100)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "[bold]" + "long " * 100 + "\n"


def test_a_group_is_named_once(capsys):
    rows = [
        Row("g", "one", ("1", None)),
        Row("g", "two", ("2", "3")),
        Row("h", "three", ("4", "5")),
    ]
    output.print_comparison(rows, ["a[b]", "b"], "title")
    out = capsys.readouterr().out
    assert out.count(" g ") == 1
    assert "a[b]" in out


def test_items_are_numbered(capsys):
    output.print_items("for [you]", [("i-1", None, -0.5), ("i-2", "A [red] mug", -1.25)])
    out = capsys.readouterr().out
    assert "for [you]" in out
    assert "A [red] mug" in out
    assert "-1.250" in out


def test_facts_and_next_commands(capsys):
    output.print_facts("data", {"users": 3000, "folder": Path("x")})
    output.print_next(["beamwise demo"])
    out = capsys.readouterr().out
    assert "3,000" in out
    assert out.endswith("next:\n  beamwise demo\n")


def test_a_histogram_has_bars_in_proportion(capsys):
    bins = {"1": 2_000, "2-3": 1_000, "4-7": 1, "[8]": 0}
    output.print_histogram("of [users]", "items", bins)
    title, header, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "of [users]"
    assert header.split() == ["items"]
    assert [row.split() for row in rows] == [
        ["1", "2,000", "█" * 40],
        ["2-3", "1,000", "█" * 20],
        ["4-7", "1", "▏"],  # what is there shows
        ["[8]", "0"],
    ]


@pytest.mark.parametrize("bins", [{}, {"1": 0}])
def test_an_empty_histogram_has_no_bars(capsys, bins):
    output.print_histogram("users", "items", bins)
    assert "█" not in capsys.readouterr().out


def test_a_table_of_mixed_values(capsys):
    output.print_table("codes [x]", ["level", "error"], [[1, 0.25], [1234, None]])
    out = capsys.readouterr().out
    assert "codes [x]" in out
    assert "0.250" in out
    assert "1,234" in out
    assert "None" not in out
    assert "│ 0.250 │" in out  # to the right, though a value is missing: "error" is as wide
    output.print_table("", ["long header"], [[0.25], [None]])
    assert "│       0.250 │" in capsys.readouterr().out


def test_sections_are_parted_numbers_stand_right_and_one_column_gives_way(capsys, monkeypatch):
    monkeypatch.setattr(output, "_print", lambda table: Console(width=40).print(table))
    sections = [[("", ("1", "[x] " + "long " * 20))], [("bold", ("-", "b")), ("", ("20", "c"))]]
    output.print_sections("t[x]", ("no.", "name"), sections, cut="name")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "t[x]"
    assert lines[4].startswith("│   1 │ [x] long")
    assert lines[4].endswith("… │")
    assert lines[5].startswith("├")
    assert [line[:7] for line in lines[6:8]] == ["│   - │", "│  20 │"]
