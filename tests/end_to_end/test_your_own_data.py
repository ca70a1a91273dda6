"""The page for newcomers: its files and its commands, as they stand there."""

import json
import re
import shlex
from pathlib import Path

import pytest

from beamwise.cli.app import main

PAGE = Path(__file__).parents[2] / "docs" / "your-own-data.md"
FILE = re.compile(r"```csv (\S+)\n(.*?)```", re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def page(tmp_path, monkeypatch) -> list[list[str]]:
    """An empty folder with the page's files; the commands of each of its blocks."""
    text = PAGE.read_text(encoding="utf-8")
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return [block.strip().splitlines() for block in SHELL.findall(text)]


def run(command: str, *more: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "beamwise"
    assert main([*arguments, *more]) == 0, command


def test_five_commands_and_then_new_items(page, capsys):
    first, later = page
    assert len(Path("interactions.csv").read_text().splitlines()) == 10
    assert [command.split()[1] for command in first] == [
        "prepare", "tokenize", "train", "evaluate", "recommend",
    ]  # fmt: skip
    for command in first:
        fast = ("--set", "training.epochs=1") if " train " in command else ()
        run(command, *fast)
    assert Path("data/mine/data_card.md").is_file()
    assert Path("data/mine/quality/report.png").is_file()
    for name in (".", "baselines/popularity", "baselines/item-kNN"):
        assert Path("runs/mine", name, "evaluation.json").is_file()
    assert "Tea pot" in capsys.readouterr().out

    for command in later:
        run(command)
    assert "honey" not in capsys.readouterr().out.split("recommended after")[1]
    run(later[-1], "--top-k", "6", "--json")
    answer = json.loads(capsys.readouterr().out)
    found = {item["item_id"] for item in answer["recommendations"]}
    assert found == {"tea", "cup", "pot", "milk", "mug"}


def test_the_page_names_commands_and_options_that_exist(capsys):
    text = PAGE.read_text(encoding="utf-8")
    commands = set(re.findall(r"`beamwise (\w+)|^beamwise (\w+)", text, re.MULTILINE))
    for command in {name for pair in commands for name in pair if name}:
        assert main([command, "--help"]) == 0
    helped = capsys.readouterr().out
    options = set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help"}
    assert len(options) > 10
    assert {option for option in options if option not in helped} == set()
