"""The registry of experiments."""

from beamwise.experiments.paper.experiments import EXPERIMENTS


def test_every_table_and_figure_of_runs_is_there():
    assert set(EXPERIMENTS) == {
        "table1", "table3", "table4", "own", *(f"figure{number}" for number in range(1, 6)),
        "bear", "simulated-beams",
    }  # fmt: skip
    assert [name for name, each in EXPERIMENTS.items() if each.is_view] == [
        "table4", "figure1", "figure4", "figure5",
    ]  # fmt: skip
    assert [name for name, each in EXPERIMENTS.items() if each.grids_on_all_seeds] == ["figure3"]
    printed = [name for name, each in EXPERIMENTS.items() if each.printed is not None]
    assert printed == ["table1", "table3"]
