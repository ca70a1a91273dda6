"""Tables of an inspection: how many lines, which marks."""

import re

import pytest

from beamwise.cli.inspection_tables import print_inspection
from beamwise.experiments.inspection import InspectionConfig, inspect_run


@pytest.fixture(scope="module")
def inspection(tiny):
    """A beam of 6, the target far behind."""
    config = InspectionConfig(
        history=("item-0003", "item-0007"), target="item-0150", beam_width=6, num_lost=2
    )
    return inspect_run(tiny / "run", config)


def rows(text, begin):
    return [line for line in text.splitlines() if line.startswith(f"│ {begin}")]


def test_so_many_lines_a_level_and_the_target(inspection, capsys):
    print_inspection(inspection, 2)
    out = capsys.readouterr().out
    tables = re.split(r"\n(?=level \d|what the)", out)
    assert len(tables) == 1 + len(inspection.levels) + 1
    for table, level in zip(tables[1:-1], inspection.levels, strict=True):
        shown = [p for place, p in enumerate(level.survivors) if place < 2 or p.is_target]
        assert len(rows(table, "kept")) + len(rows(table, "returned")) == len(shown)
        assert f"{len(level.survivors) - len(shown):,} more kept" in table
        assert len(rows(table, "pruned")) + len(rows(table, "outscored")) == len(level.lost)
        assert ("more lost" in table) == (level.num_lost > len(level.lost))
        marked = [p for p in (*shown, *level.lost) if p.is_target]
        assert len(re.findall(r"(?:kept|returned|pruned|outscored), target", table)) == len(marked)
        assert "target " in table.splitlines()[1]
    numbers = [each.beam_rank for each in inspection.results if each.beam_rank]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert len(rows(tables[-1], "")) == len(inspection.results)


def test_facts(inspection, tiny, capsys):
    print_inspection(inspection, 2)
    out = capsys.readouterr().out
    assert "a history" in out.splitlines()[0]
    assert "item-0150" in out
    assert "beam of 6, top 6, mask after" in out
    assert f"2 + level * {inspection.codebook_size} + code" in out
    config = InspectionConfig(history=tuple(f"item-{index:04d}" for index in range(30)))
    print_inspection(inspect_run(tiny / "run", config), 2)
    out = capsys.readouterr().out
    assert "17 before | " in out
    assert re.search(r"items read at most +│ +20 │", out)
    assert "older items, unread │" in out
    assert "target" not in out
    print_inspection(inspect_run(tiny / "run", InspectionConfig(history=())), 2)
    assert "nothing: a new user" in capsys.readouterr().out
