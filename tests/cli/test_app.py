"""The command line as a whole: help, versions, and how it refuses."""

import os
import subprocess
import sys

import pytest

import beamwise as package
from beamwise.__main__ import main as start
from beamwise.cli import app
from beamwise.cli.app import main

COMMANDS = ["demo", "prepare", "tokenize", "train", "evaluate", "recommend", "reproduce"]


def test_help_lists_every_command(beamwise):
    outcome = beamwise("--help")
    assert outcome.status == 0
    assert [name for name in COMMANDS if name not in outcome.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_examples(beamwise, command):
    outcome = beamwise(command, "--help")
    assert outcome.status == 0
    assert f"  beamwise {command}" in outcome.out.split("For example:")[1]
    assert "--json" in outcome.out


def test_version(beamwise):
    assert beamwise("--version").out.strip() == package.__version__


def test_no_command_shows_help(beamwise):
    assert "Usage: beamwise" in beamwise().out


def test_unknown_names_show_the_nearest(beamwise):
    assert 'Did you mean "evaluate"?' in beamwise("evalute").complaint
    assert (
        "Did you mean --overwrite?"
        in beamwise("prepare", "simulated-shop", "--out", "x", "--overwrit").complaint
    )


def test_values_of_the_wrong_kind_are_refused(beamwise):
    assert "--top-k" in beamwise("recommend", "run", "--top-k", "many").complaint
    assert "--split" in beamwise("evaluate", "run", "--split", "train").complaint
    assert "--out" in beamwise("prepare", "simulated-shop").complaint


def raising(error):
    def call(*_, **__):
        raise error

    return call


def test_a_mistake_of_ours_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr(app, "app", raising(KeyError("lost\nkey")))
    assert main([]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "unexpected KeyError" in err
    assert "BEAMWISE_DEBUG=1" in err


def test_debug_raises(monkeypatch):
    monkeypatch.setenv("BEAMWISE_DEBUG", "1")
    monkeypatch.setattr(app, "app", raising(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        main([])


def test_interruption_is_130(monkeypatch, capsys):
    monkeypatch.setattr(app, "app", raising(KeyboardInterrupt()))
    assert main([]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_files_that_cannot_be_written_are_one_line(beamwise, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "data"
    arguments = ["--set", "num_users=20", "--set", "num_items=200"]
    outcome = beamwise("prepare", "simulated-shop", "--out", out, *arguments)
    assert outcome.complaint == f"beamwise: {tmp_path / 'file'}: File exists"


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from beamwise.cli.app import main; sys.exit(main(['--help']))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_only_the_first_of_several_processes_speaks(beamwise, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    outcome = beamwise("recommend", "nowhere", "--history", "a")
    assert (outcome.status, outcome.out, outcome.err) == (2, "", "")


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "beamwise", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == package.__version__


def test_an_interruption_while_the_program_loads_is_one_line(monkeypatch, capsys):
    def interrupted(name, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.__import__", interrupted)
    status = start()
    monkeypatch.undo()
    assert status == 130
    assert capsys.readouterr() == ("", "stopped\n")


def test_titles_that_the_terminal_cannot_show_are_escaped():
    program = "from beamwise.cli import app; app._write_any_text(); print('caf\\xe9 \\u8336')"
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout == "caf\\xe9 \\u8336\n"
