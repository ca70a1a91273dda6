"""All files of a section, complete or not at all."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from beamwise.report import section_files
from beamwise.report.section import Section
from beamwise.report.section_files import write_section
from beamwise.report.section_text import section_markdown, table_csv

NAMES = {
    "table1.json",
    "table1.md",
    "table1-quality-table.csv",
    "table1-quality.png",
    "table1-quality.svg",
}


def test_every_part_is_a_file(full_section, tmp_path):
    folder = tmp_path / "new" / "folder"
    written = write_section(full_section, folder)
    assert {path.name for path in written} == NAMES
    assert set(folder.iterdir()) == set(written)
    assert written[-1].name == "table1.json"
    assert Section.load(written[-1]) == full_section
    text = section_markdown(full_section, {"quality": "table1-quality.png"})
    assert (folder / "table1.md").read_text() == text
    csv = (folder / "table1-quality-table.csv").read_bytes().decode()
    assert csv == table_csv(full_section.tables[0])
    assert (folder / "table1-quality.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (folder / "table1-quality.svg").read_text()


def test_what_fails_leaves_the_old_file_and_nothing_else(full_section, tmp_path, monkeypatch):
    (tmp_path / "table1-quality.png").write_text("old")

    def half(chart, path):
        path.write_text("half")
        raise ValueError("cannot draw")

    monkeypatch.setattr(section_files, "draw_chart", half)
    with pytest.raises(ValueError, match="cannot draw"):
        write_section(full_section, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["table1-quality.png"]
    assert (tmp_path / "table1-quality.png").read_text() == "old"


def _write_often(section, folder):
    for _ in range(20):
        write_section(section, folder)


def test_several_processes_may_write_the_same(full_section, tmp_path):
    section = full_section.model_copy(update={"charts": ()})
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for done in [pool.submit(_write_often, section, tmp_path) for _ in range(2)]:
            done.result()
    assert {path.name for path in tmp_path.iterdir()} == {
        name for name in NAMES if not name.startswith("table1-quality.")
    }
    assert Section.load(tmp_path / "table1.json") == section
