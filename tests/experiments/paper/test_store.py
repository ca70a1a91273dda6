"""A store's sections as files, and one page of all."""

import json
from dataclasses import replace

import pytest

from beamwise.experiments.paper import table2
from beamwise.experiments.paper.store import sections_of, write_experiment, write_page
from beamwise.report.section import Section
from beamwise.report.section_files import write_section


def test_sections_are_written_and_found_again(evidence_of, setting):
    evidence = evidence_of("table1")
    store = evidence.comparison.out.parent
    section = write_experiment("table1", evidence)
    folder = evidence.comparison.out
    assert json.loads((folder / "table1.json").read_text())["title"] == section.title
    assert (folder / "table1-beside-the-paper.csv").is_file()
    assert (folder / "table1-recall.svg").is_file()
    runs = (folder / "table1-runs.md").read_text()
    assert runs.startswith("# Table 1: Office, TIGER, small")
    assert "Beside the paper" not in runs  # these models are no match for its levels
    write_experiment("figure5", evidence_of("figure5"))
    assert not (folder / "figure5-runs.md").exists()
    write_section(table2.section("office", setting.data_folder), store / "office")
    names = [(each.name, each.setting) for each in sections_of(store)]
    small = "Office, TIGER, small models"
    assert names == [("table2", "Office"), ("table1", small), ("figure5", small)]
    page, sections = write_page(store)
    assert page == store / "report.html"
    text = page.read_text()
    assert all(each.title in text for each in sections)
    assert list(store.glob(".*")) == []


def test_changed_settings_are_told(evidence_of):
    evidence = replace(evidence_of("table1"), changed=("settings.training.epochs=1",))
    section = write_experiment("table1", evidence)
    assert section.setting == "Office, TIGER, small models, changed settings"
    assert section.method[-1] == "Settings that were changed: `settings.training.epochs=1`."
    assert Section.load(evidence.comparison.out / "table1.json") == section
    write_experiment("table1", evidence_of("table1"))


def test_the_papers_levels_stand_beside_runs_of_its_models(evidence_of, setting):
    there = evidence_of("table1")
    evidence = replace(there, setting=replace(setting, size="paper"))
    write_experiment("table1", evidence)
    runs = (there.comparison.out / "table1-runs.md").read_text()
    assert "## Beside the paper" in runs
    assert "| level | direction |" in runs
    content = json.loads((there.comparison.out / "table1-runs.json").read_text())
    first = content["printed"][0]
    assert (first["method"], first["directions"]) == ("ce", {})
    assert first["level"] in ("reproduced", "not reproduced", "undecided")
    write_experiment("table1", there)


def test_an_empty_store_says_what_to_run(tmp_path):
    with pytest.raises(ValueError, match="run an experiment first"):
        write_page(tmp_path)


def test_a_damaged_section_is_named(tmp_path):
    (tmp_path / "office-tiger").mkdir()
    (tmp_path / "office-tiger" / "table1.json").write_text("{}")
    with pytest.raises(ValueError, match=r"table1\.json is missing, damaged or no section"):
        sections_of(tmp_path)
