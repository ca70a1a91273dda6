"""One archive from which a machine without network trains: data, wheels, runs to go on from."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, FILES, TOKENIZER_FOLDER, Dataset
from beamwise.experiments import archive_start
from beamwise.experiments.archive_commands import checked_commands, config_files
from beamwise.experiments.archive_models import packages_of_extras, packages_of_weights
from beamwise.experiments.archive_runs import pack_runs
from beamwise.experiments.archive_tar import ArchiveFiles, written
from beamwise.experiments.archive_wheel import NAME, Needs, build_wheel, check_wheel, needs_of
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.moved_runs import DATA_FOLDER
from beamwise.training.provenance import built_from, provenance
from beamwise.training.run_data import items_of_catalog

FORMAT = 1
RUN = """#!/bin/sh
# Checks this folder and the machine, installs the wheels, runs the commands: see README.txt.
exec "${PYTHON:-python3}" "$(dirname "$0")/start.py" "$@"
"""
README = """Experiments to run on this machine, which needs no network.

    sh run              run everything; the same again goes on after an interruption
    sh run 9m           as much as nine minutes allow; exit status 3 says: run again
    sh run check        run nothing, say what is missing or damaged

PYTHON=python3.12 sh run takes another Python than python3. It needs {python} or newer and

    {packages}

of which the folder wheels brings {wheels}. A GPU is used where that Python's torch sees one.
Several processes share the work: start the same several times, each with its own
CUDA_VISIBLE_DEVICES.

Carry the folder results back, and there: beamwise reproduce merge --from results --out STORE

{name} {version}, source {source}, commit {commit}. Commands:

{commands}
"""


@dataclass(frozen=True)
class PackSummary:
    """What an archive was made of."""

    archive: Path
    num_bytes: int
    data: tuple[str, ...]
    runs: tuple[str, ...]
    """Runs that the commands go on from, by their folders in the store."""
    left_out: tuple[str, ...]
    """Runs that they do not, and why, a line each."""
    extras: tuple[str, ...]
    """What `pip install` is given for language models, where the archive does not bring it."""


def pack(
    archive: Path,
    *,
    commands: Sequence[Sequence[str]],
    comparisons: Sequence[ComparisonConfig],
    data: Mapping[str, Path],
    store: Path | None = None,
    parts: Sequence[str] = (),
    wheels: Sequence[Path] = (),
) -> PackSummary:
    """Write one tar file that a machine without network unpacks and runs with one command.

    Equal inputs give equal files. Results are written into its folder `results`, for `merge`.

    Args:
        archive: The file to write, `NAME.tar`; it unpacks into a folder `NAME`.
        commands: Arguments of `beamwise`, one sequence a command, run in this order. Files of
            `--config` are packed; `--out` is `results`, or a folder in it; `--budget` comes later.
        comparisons: Those that the commands run: what their models need, the machine must have.
        data: Prepared and tokenized data folders by the names that the commands know them by:
            `office` is `data/office` there.
        store: A folder of runs that the commands go on from.
        parts: Folders in the store, those of the commands; all of it where none are given.
        wheels: Further packages that the machine lacks, and this one's where it is not to be built
            from its source tree.

    Raises:
        ValueError: If a command asks for what is not packed, a run reads a language model from a
            folder, data or runs are damaged, or the wheel of this package cannot be built or is of
            other code.
    """
    if archive.suffix != ".tar" or not re.fullmatch(r"\w[\w.-]*", archive.stem):
        raise ValueError(
            f"the archive must be named NAME.tar, in letters, digits, ., _ and -, got {archive}"
        )
    for name in data:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"data {name!r} must be named in letters, digits, ., _ and -")
    whole = checked_commands(commands, list(data))
    extras = packages_of_extras(comparisons)
    with tempfile.TemporaryDirectory() as made, written(archive) as files:
        for name, folder in data.items():
            _pack_data(files, name, folder)
        for path in config_files(whole):
            files.add(path.as_posix(), path)
        needs = needs_of(_pack_wheels(files, wheels, Path(made)), extras)
        needs = replace(needs, extras=needs.extras | packages_of_weights(extras))
        runs, left_out = pack_runs(files, store, parts, data)
        _pack_start(files, whole, needs)
    missing = _not_among(wheels, needs.extras)
    return PackSummary(archive, archive.stat().st_size, tuple(data), runs, left_out, missing)


def _pack_data(files: ArchiveFiles, name: str, folder: Path) -> None:
    """What training and testing read of a data folder, once it was read here."""
    dataset = Dataset.load(folder)
    if not (folder / CATALOG_FOLDER).is_dir():
        raise ValueError(f"{folder} has no catalog yet: run `beamwise tokenize {folder}`")
    items_of_catalog(Catalog.load(folder / CATALOG_FOLDER), dataset.items, folder)
    for file in FILES:
        if (folder / file).is_file():
            files.add(f"{DATA_FOLDER}/{name}/{file}", folder / file)
    for below in (CATALOG_FOLDER, TOKENIZER_FOLDER):
        files.add_folder(f"{DATA_FOLDER}/{name}/{below}", folder / below)


def _pack_wheels(files: ArchiveFiles, wheels: Sequence[Path], beside: Path) -> Path:
    """The wheels, this package's among them; gives that one."""
    for wheel in wheels:
        if wheel.suffix != ".whl" or not wheel.is_file():
            raise ValueError(f"{wheel} is no wheel: give files that end with .whl")
    given = [wheel for wheel in wheels if wheel.name.startswith(f"{NAME}-")]
    own = given[0] if given else build_wheel(beside)
    check_wheel(own)
    for wheel in (own, *(wheel for wheel in wheels if wheel not in given)):
        files.add(f"wheels/{wheel.name}", wheel)
    return own


def _not_among(wheels: Sequence[Path], extras: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """What brings packages of which some are not among the wheels."""
    brought = {wheel.name.partition("-")[0] for wheel in wheels}
    return tuple(
        given
        for given, packages in extras.items()
        if any(name.replace("-", "_") not in brought for name in packages)
    )


def _pack_start(files: ArchiveFiles, commands: Sequence[Sequence[str]], needs: Needs) -> None:
    """What runs the commands, and the manifest of all that was packed."""
    made = provenance()
    wheels = [name.removeprefix("wheels/") for name in files.packed if name.startswith("wheels/")]
    packages = [f"{name} >= {lowest}" for name, lowest in needs.packages.items()]
    packages += [
        f"{name} >= {lowest}, for language models: pip install {given}"
        for given, some in needs.extras.items()
        for name, lowest in some.items()
    ]
    readme = README.format(
        name=NAME,
        version=made.version,
        source=made.source,
        commit=made.commit or "unknown",
        python=needs.python,
        packages="\n    ".join(packages),
        wheels=", ".join(wheels),
        commands="\n".join(f"    beamwise {shlex.join(command)}" for command in commands),
    )
    files.add_text("README.txt", readme)
    files.add_text("run", RUN, executable=True)
    files.add("start.py", Path(archive_start.__file__))
    manifest = {
        "format": FORMAT,
        "made_with": {"version": made.version, "source": made.source, "commit": made.commit},
        "built_from": built_from(made.commit, made.source) if made.commit else None,
        "tested_with": {"torch": made.torch, **_versions(needs)},
        "python": needs.python,
        "requires": needs.packages,
        "extras": needs.extras,
        "commands": commands,
        "files": files.packed,
    }
    files.add_text(archive_start.MANIFEST_FILE, json.dumps(manifest, indent=1) + "\n")


def _versions(needs: Needs) -> dict[str, str]:
    """Versions here of what is needed, as far as they are known."""
    found: dict[str, str] = {}
    for name in (*needs.packages, *(each for some in needs.extras.values() for each in some)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
