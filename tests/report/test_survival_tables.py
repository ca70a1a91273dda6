"""Tables hold every width and level of every model."""

from __future__ import annotations

from beamwise.evaluation.survival_measure import measure_survival
from beamwise.report.survival_tables import level_table, outcome_table, tables, width_table
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.survival_example import EXAMPLE_SETTINGS, example_survival, random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

SURVIVAL = example_survival()


def test_widths_of_all_models_and_the_exact_search():
    table = width_table({"a": SURVIVAL, "b": SURVIVAL})
    assert [row[:2] for row in table.rows[:5]] == [
        ("a", "2"),
        ("a", "4 *"),
        ("a", "8"),
        ("a", "16"),
        ("a", "exact"),
    ]
    assert len(table.rows) == 10
    assert table.header[2:6] == ("recall@2", "recall@4", "ndcg@2", "ndcg@4")
    assert table.rows[0][3] == "-"  # a beam of 2 has no recall@4
    assert table.rows[1][3] == f"{SURVIVAL.beam.mean('recall@4'):.4f}"
    assert table.rows[4][3] == f"{SURVIVAL.exact['recall@4']:.4f}"


def test_outcomes_add_up_to_the_users():
    for row in outcome_table({"a": SURVIVAL}).rows[1:]:
        assert sum(int(count) for count in row[2:6]) == 60


def test_a_beam_narrower_than_k_is_not_compared_with_the_best_k():
    width, outcome = width_table({"a": SURVIVAL}), outcome_table({"a": SURVIVAL})
    assert width.rows[0][6:8] == ("-", "-")
    assert "-" not in width.rows[1]
    assert outcome.rows[0][2:6] == ("-",) * 4
    assert outcome.rows[0][6] == f"{SURVIVAL.of_width(2).within:,}"
    for table in (width, outcome):
        assert "narrower than 4 returns fewer items" in table.note


def test_levels():
    table = level_table("a", SURVIVAL)
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    kept = SURVIVAL.beam.kept_targets
    assert [row[1] for row in table.rows] == [f"{100 * count / 60:.1f} %" for count in kept]
    assert "a: beam of 4" in table.title


def test_of_many_levels_those_are_shown_at_which_something_is_lost():
    catalog = random_titles(1, num_items=60, num_words=10)
    backbone = TableBackbone(catalog.vocab_size, seed=1)
    with step_by_step():
        survival = measure_survival(backbone, random_windows(60, 40), catalog, EXAMPLE_SETTINGS)
    beam, last = survival.beam, survival.num_levels
    assert last > 12
    table = level_table("titles", survival)
    shown = [int(row[0]) for row in table.rows]
    lost = [p + o for p, o in zip(beam.pruned_at, beam.outscored_at, strict=True)]
    assert shown == sorted(shown)
    assert {1, last} <= set(shown)
    assert len(shown) <= 12
    hidden = [lost[level - 1] for level in range(1, last + 1) if level not in shown]
    assert all(lost[level - 1] >= max(hidden) for level in shown[1:-1])
    assert f"Shown of {last} levels" in table.note
    assert "Shown of" not in level_table("a", SURVIVAL).note


def test_of_titles_the_tokens_are_told_of_at_which_a_beam_has_a_choice():
    catalog = random_titles(1, num_items=60, num_words=10)
    backbone = TableBackbone(catalog.vocab_size, seed=1)
    with along_runs():
        survival = measure_survival(backbone, random_windows(60, 40), catalog, EXAMPLE_SETTINGS)
    table = level_table("titles", survival)
    assert table.header[0] == "token"
    assert [row[0] for row in table.rows] == [level.name for level in survival.told_levels]
    assert 2 < len(table.rows) < survival.num_levels
    lost = [sum(int(row[column]) for row in table.rows) for column in (-2, -1)]
    assert lost == [sum(survival.beam.pruned_at), sum(survival.beam.outscored_at)]
    assert f"Of up to {survival.num_levels} tokens, those are told of" in table.note
    assert "Shown of" not in table.note
    notes = [width_table(each).note for each in ({"a": survival}, {"a": SURVIVAL})]
    assert [note.split(".")[0] for note in notes] == ["By title", "By semantic ID"]
    both = width_table({"a": survival, "b": SURVIVAL}).note
    assert both.startswith("By semantic ID or title.")


def test_each_row_is_as_long_as_its_header():
    for table in tables({"a": SURVIVAL, "b": SURVIVAL}):
        assert {len(row) for row in table.rows} == {len(table.header)}
