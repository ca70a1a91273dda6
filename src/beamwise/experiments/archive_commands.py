"""The commands of an archive: what they read is packed, what they write is found."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from beamwise.config import read_config
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.moved_runs import DATA_FOLDER, RESULTS_FOLDER
from beamwise.experiments.objective_comparison import Comparison


def read_commands(path: Path) -> list[list[str]]:
    """The commands of a file: one a line as a shell has it, `beamwise` before it or not.

    Empty lines and those that begin with # are left out.

    Raises:
        ValueError: If the file is missing, or a line is not readable.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        commands = [shlex.split(line, comments=True) for line in lines]
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not readable as a list of commands ({error})") from None
    return [words[words[:1] == ["beamwise"] :] for words in commands if words]


def checked_commands(commands: Sequence[Sequence[str]], data: Sequence[str]) -> list[list[str]]:
    """The commands as an archive runs them, with the folder of results.

    Args:
        commands: Arguments of `beamwise reproduce`.
        data: Names of the data sets that are packed.

    Raises:
        ValueError: If there is none, one is no experiment, gives what the archive gives, or reads
            data that are not packed.
    """
    if not commands:
        raise ValueError("no commands to run: give those of `beamwise reproduce`")
    return [_checked(list(command), data) for command in commands]


def config_files(commands: Sequence[Sequence[str]]) -> list[Path]:
    """The files that commands name by `--config`, and those that these name, each once.

    Raises:
        ValueError: If one is missing, damaged or lies outside of the working folder.
    """
    paths: dict[Path, None] = {}
    for command in commands:
        for value in _values(command, "--config"):
            paths[_inside(Path(value))] = None
            base = read_config(ComparisonConfig, Path(value)).base
            if base is not None:
                paths[_inside(base)] = None
    return list(paths)


def _checked(command: list[str], data: Sequence[str]) -> list[str]:
    said = " ".join(command)
    if command[:1] != ["reproduce"] or len(command) < 2 or command[1].startswith("-"):
        raise ValueError(f"an archive runs `reproduce EXPERIMENT ...`, got {said!r}")
    if any(_values(command, "--budget")):
        raise ValueError(f"--budget in {said!r}: leave it out, `sh run BUDGET` gives it")
    for folder in _data_folders(command):
        if folder not in {Path(DATA_FOLDER, name) for name in data}:
            raise ValueError(
                f"{said!r} reads {folder}, which is not packed: pack it as data {folder.name!r}, "
                f"or give one of the packed, {', '.join(data) or 'none'}, as --data {DATA_FOLDER}/"
                "NAME"
            )
    out = next(_values(command, "--out"), None)
    if out is None:
        return [*command, "--out", RESULTS_FOLDER]
    if Path(out).parts[:1] != (RESULTS_FOLDER,) or ".." in Path(out).parts:
        raise ValueError(
            f"--out {out} in {said!r}: an archive has results in {RESULTS_FOLDER}, leave it out or "
            f"name a folder in that, as {RESULTS_FOLDER}/mine"
        )
    return command


def _data_folders(command: Sequence[str]) -> set[Path]:
    """The data folders that a command reads, as far as it says."""
    if given := list(_values(command, "--data")):
        return {Path(given[-1])}
    listed = ",".join(_values(command, "--dataset")).split(",")
    folders = {Path(DATA_FOLDER, name.strip()) for name in listed if name.strip()}
    for value in _values(command, "--config"):
        config = read_config(ComparisonConfig, Path(value), list(_values(command, "--set")))
        comparison = Comparison(config, Path(RESULTS_FOLDER))
        for method in comparison.methods:
            folders |= {run.config.data.folder for run in comparison.any_runs(method)}
    return folders


def _inside(path: Path) -> Path:
    """A path that means the same in the archive's folder as here."""
    first = path.parts[:1]
    taken = ((), (RESULTS_FOLDER,), (DATA_FOLDER,))
    if path.is_absolute() or ".." in path.parts or first in taken:
        raise ValueError(
            f"{path} cannot be packed under that name: name files of settings from the working "
            "folder, in which they lie, as configs/mine.yaml"
        )
    if not path.is_file():
        raise ValueError(f"no config file at {path}: give the path of a YAML file")
    return path


def _values(command: Sequence[str], option: str) -> Iterator[str]:
    """The values that a command gives an option, as `--option value` or `--option=value`."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == option:
            yield following
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]
