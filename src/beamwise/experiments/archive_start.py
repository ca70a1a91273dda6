"""What the `run` of an unpacked archive starts; needs nothing but Python's standard library."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST_FILE = "manifest.json"
USAGE = "usage: sh run [check | BUDGET], with BUDGET as 9m, 1h30m or 45s"
BAD_INPUT, UNFINISHED, BY_SIGNAL = 2, 3, 128
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
SETTLE = "from pathlib import Path; from beamwise.experiments.moved_runs import settle as s; s({})"


class StartError(Exception):
    """Why the commands cannot be run here, in one line."""


def main(arguments: Sequence[str], archive: Path) -> int:
    """Check the archive and the machine, install the wheels, and run the commands in order.

    Args:
        arguments: `check` to run no command, or a budget; that of the variable BUDGET where none.
        archive: The unpacked folder.

    Returns:
        0 where all is done, 3 where the budget was spent before (run again to go on), else the
        status of the first command that failed; later ones are run all the same.
    """
    asked = arguments[0] if arguments else os.environ.get("BUDGET", "")
    try:
        budget = seconds_of(asked if asked != "check" else "")
        if len(arguments) > 1:
            raise StartError(USAGE)
        manifest = json.loads((archive / MANIFEST_FILE).read_text(encoding="utf-8"))
        check_python(manifest["python"])
        check_files(archive, manifest["files"])
        packages = install(archive, manifest)
        check_packages(manifest["requires"], manifest["extras"], packages)
        environment = surroundings(packages)
        settle(archive, environment)
    except StartError as error:
        say(str(error))
        return BAD_INPUT
    if asked == "check":
        if run(["-m", "beamwise", "--version"], archive, environment):
            say(f"beamwise does not start with {sys.executable}, as it says above")
            return BAD_INPUT
        say("all is as it was packed, and this Python has what is needed: sh run")
        return 0
    return run_commands(manifest["commands"], budget, lambda c: run(c, archive, environment))


def seconds_of(text: str) -> float:
    """Seconds of a duration as `1h30m`; without end where there is none."""
    if not text:
        return float("inf")
    found = DURATION.fullmatch(text)
    hours, minutes, seconds = map(int, found.groups(default="0") if found else (0, 0, 0))
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise StartError(f"{text!r} is neither `check` nor a budget; {USAGE}")
    return float(total)


def check_python(lowest: str) -> None:
    """Refuse a Python that is older than needed."""
    if sys.version_info[:2] < tuple(numbers(lowest)):
        raise StartError(
            f"{sys.executable} is Python {sys.version.split()[0]}, needed is {lowest} or newer: "
            "name another, as PYTHON=python3.12 sh run"
        )


def check_files(archive: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse files that are not as they were packed; results may have changed since.

    Args:
        archive: The unpacked folder.
        files: What the manifest says of them, by their paths.
    """
    for name, packed in files.items():
        if name.startswith("results/"):
            continue
        path = archive / name
        if not path.is_file() or hash_of(path) != packed["sha256"]:
            state = "is not as it was packed" if path.is_file() else "is missing"
            raise StartError(f"{path} {state}: copy and unpack the archive again")


def hash_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def packages_folder(archive: Path, manifest: Mapping[str, Any]) -> Path:
    """Where the wheels of an archive are installed; other wheels have another folder."""
    digest = hashlib.sha256()
    for name, packed in sorted(manifest["files"].items()):
        if name.startswith("wheels/"):
            digest.update(f"{name} {packed['sha256']}\n".encode())
    return archive / f"packages-{digest.hexdigest()[:12]}"


def install(archive: Path, manifest: Mapping[str, Any]) -> Path:
    """Install the wheels into a folder, once; it is there complete or not at all."""
    target = packages_folder(archive, manifest)
    if target.is_dir():
        return target
    say(f"installing the wheels into {target.name}")
    made = archive / f".{os.getpid()}.{target.name}"
    wheels = sorted(map(str, (archive / "wheels").glob("*.whl")))
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install"]
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(made)]
    if subprocess.run([*pip, *options, *wheels]).returncode:
        shutil.rmtree(made, ignore_errors=True)
        raise StartError(
            f"pip of {sys.executable} could not install the wheels, as it says above: `python3 -m "
            "ensurepip` brings pip where it is missing, PYTHON=... sh run takes another Python"
        )
    if manifest["built_from"] is not None:
        note = made / "beamwise" / "built_from.json"
        note.write_text(manifest["built_from"], encoding="utf-8")
    try:
        made.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(made)
    return target


def check_packages(
    requires: Mapping[str, str], extras: Mapping[str, Mapping[str, str]], packages: Path
) -> None:
    """Refuse a Python that lacks what the commands need, beside what the archive brings.

    Args:
        requires: As `lacking` takes it.
        extras: The same, by what `pip install` is given to bring it.
        packages: What the archive brings.
    """
    sys.path.insert(0, str(packages))
    lacks, ways = lacking(requires), []
    for given, some in extras.items():
        if missing := lacking(some):
            lacks += missing
            ways.append(f"pip install {given}")
    if lacks:
        how = f" ({', '.join(ways)})" if ways else ""
        raise StartError(
            f"{sys.executable} lacks {', '.join(lacks)}: install that{how}, pack the wheels of it "
            "(--wheels), or name another Python, as PYTHON=python3.12 sh run"
        )


def lacking(requires: Mapping[str, str]) -> list[str]:
    """The packages of some that this Python has not, or not as new as needed.

    Args:
        requires: The lowest version that will do, by the name of the package.
    """
    lacks: list[str] = []
    for name, lowest in requires.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacks.append(f"{name} >= {lowest}")
            continue
        if numbers(found) < numbers(lowest):
            lacks.append(f"{name} >= {lowest} (it has {found})")
    return lacks


def numbers(version: str) -> list[int]:
    """The leading numbers of a version, without zeros at the end; 2.9.0a0+git has 2 and 9."""
    found = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in found.group().split(".")] if found else []
    while parts and not parts[-1]:
        parts.pop()
    return parts


def surroundings(packages: Path) -> dict[str, str]:
    """The variables of the commands' processes, which find the wheels' packages first."""
    before = os.environ.get("PYTHONPATH")
    paths = [str(packages), before] if before else [str(packages)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def settle(archive: Path, environment: Mapping[str, str]) -> None:
    """Let runs that came with the archive, or were made at another place, know where they lie."""
    described = (archive.resolve() / "results").rglob("seed-*/config.yaml")
    if all(f"out: {path.parent}\n" in path.read_text(encoding="utf-8") for path in described):
        return
    if run(["-c", SETTLE.format("Path()")], archive, environment):
        raise StartError(f"the runs in {archive / 'results'} are not readable, as said above")


def run_commands(
    commands: Sequence[Sequence[str]], budget: float, run: Callable[[Sequence[str]], int]
) -> int:
    """Run commands in order within a budget of seconds; the exit status, as `main` gives it."""
    deadline = time.monotonic() + budget
    failed = 0
    for number, command in enumerate(commands):
        left = deadline - time.monotonic()
        if number and left < 1:
            return UNFINISHED
        within = [] if left == float("inf") else ["--budget", f"{max(1, int(left))}s"]
        say(f"{number + 1} of {len(commands)}: beamwise {' '.join(command)}")
        status = run(["-m", "beamwise", *command, *within])
        if status == UNFINISHED or status > BY_SIGNAL:
            say("there is more to do: start the same again to go on")
            return status
        failed = failed or status
    if failed:
        say("a command failed, as it says above; what others did is in the folder results")
    else:
        say("all is done: carry the folder results back and merge it")
    return failed


def run(arguments: Sequence[str], archive: Path, environment: Mapping[str, str]) -> int:
    """Run this Python in the archive's folder; gives its exit status, 128 + the signal's number.

    An interruption reaches the process by itself; a request to end is handed on.
    """
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=archive, env=dict(environment)) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        asked = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            status = process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, asked)
    return status if status >= 0 else BY_SIGNAL - status


def say(text: str) -> None:
    """A line for whoever watches, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent))
