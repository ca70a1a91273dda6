"""The benchmark of titles, from end to end at a tiny size."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from beamwise.backbones.pretrained_config import TinyConfig
from beamwise.decoding import beam_search

pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("harness", "titles", "title_workload", "titles_training", "titles_costs")
TINY = TinyConfig(dim=16, num_layers=2, num_heads=2, feedforward_dim=16)


@pytest.fixture
def titles(monkeypatch, tmp_path):
    """The script as a module, without real data: it takes the titles of the simulated shop."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("BEAMWISE_DATA", str(tmp_path))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    threads = torch.get_num_threads()
    yield importlib.import_module("titles")
    torch.set_num_threads(threads)
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def test_both_sides_find_the_same_titles(titles, capsys):
    titles.main(["--users", "3", "--repeats", "1", "--vocab-size", "400"], TINY)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (check,) = [line for line in lines if line["kind"] == "check"]
    assert (check["equal"], check["users_with_equal_items"]) == (True, 3)
    (work,) = [line for line in lines if line["kind"] == "work"]
    assert work["ours"]["calls"] < work["token_by_token"]["calls"] / 2
    assert work["ours"]["prefixes"] < work["token_by_token"]["prefixes"] / 2
    assert [line["target"] for line in lines if line["kind"] == "comparison"] == [8.0, None]


def test_items_that_differ_are_noticed(titles):
    problem = titles.load_problem(None, TINY, 400)
    generator = titles.TrieGenerator(problem)
    histories = problem.histories(2, 0)
    titles.check_items(problem, generator, histories)

    class Narrow(titles.Problem):
        def search(self, histories):
            return beam_search(self.backbone, histories, self.catalog, 1, 10, mask="before")

    narrow = Narrow(problem.backbone, problem.catalog, problem.users)
    with pytest.raises(RuntimeError, match="do not find the same titles"):
        titles.check_items(narrow, generator, histories)


@pytest.fixture
def costs(titles, monkeypatch):
    """The script of costs, on tokens learned from the titles."""
    monkeypatch.setattr(importlib.import_module("title_workload"), "TOKENS_OF", "tiny")
    return importlib.import_module("titles_costs")


def test_costs_stand_beside_plain_fine_tuning(costs, capsys):
    methods = ["bear", "s-dpo", "simulated beams"]
    small = ["--batch-size", "4", "--negatives", "2", "--repeats", "1", "--no-memory"]
    costs.main(["--only", *methods, *small])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    compared = {line["benchmark"]: line for line in lines if line["kind"] == "comparison"}
    assert list(compared) == [f"titles, tiny, {method} over ce" for method in methods]
    assert all(line["ratio"] > 0 for line in compared.values())
    assert compared["titles, tiny, simulated beams over ce"]["paper_says_over"] == 4.45
    costs.main(["--only", "bear", "--over", "msl", *small])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (beside,) = [line for line in lines if line["kind"] == "comparison"]
    assert beside["benchmark"] == "titles, tiny, bear over msl"


def test_a_step_is_weighed_after_its_optimiser(costs, tmp_path):
    folder = importlib.import_module("title_workload").titles_folder(None, tmp_path / "made")
    step = costs.step_of(folder, "tiny", "apao-pairwise", 4, 2)
    assert step()["targets"] == 4
