"""The wheel of this package that an archive brings, built from the source tree that it lies in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from tempfile import TemporaryDirectory

from beamwise.training.provenance import PACKAGE, source_version

NAME = "beamwise"
FIRST_DAY = "315532800"
"""1980-01-01, the first that a zip file knows: equal sources make equal wheels."""
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")


@dataclass(frozen=True)
class Needs:
    """What a wheel says that it needs."""

    python: str
    """The lowest version, as `3.11`."""
    packages: dict[str, str]
    """The lowest versions by name, of what is needed always."""
    extras: dict[str, dict[str, str]]
    """The same of what only some runs need, by what `pip install` is given to bring it."""


def build_wheel(folder: Path, package: Path = PACKAGE) -> Path:
    """Build the wheel of the source tree that this package lies in, without network.

    It is built from a copy: the tree stays as it is, and what earlier builds left in it stays out.

    Args:
        folder: Where the wheel goes.
        package: The package's folder, `src/beamwise` of the tree.

    Raises:
        ValueError: If the package lies in no source tree, or pip cannot build it.
    """
    tree = package.parents[1]
    if not _is_source(tree):
        raise ValueError(
            f"{package} is installed without its source, so its wheel cannot be built: give it "
            "among the wheels, or pack from a checkout"
        )
    with TemporaryDirectory() as beside:
        copy = Path(beside) / NAME
        shutil.copytree(package.parent, copy / package.parent.name, ignore=LEFT_BEHIND)
        for path in tree.iterdir():
            if path.is_file() and not path.name.startswith("."):
                shutil.copy(path, copy)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        done = subprocess.run(
            [*command, "--no-index", "--wheel-dir", str(folder), str(copy)],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "SOURCE_DATE_EPOCH": FIRST_DAY,
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
        )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise ValueError(
            f"pip could not build the wheel of {tree} ({said}): install pip and setuptools here, "
            "or build it elsewhere and give it among the wheels"
        )
    return next(folder.glob(f"{NAME}-*.whl"))


def check_wheel(wheel: Path) -> None:
    """Refuse a wheel of other code than the one that runs here.

    Raises:
        ValueError: If it is, or the file is no wheel.
    """
    with TemporaryDirectory() as unpacked:
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{wheel} is not readable as a wheel ({error})") from None
        theirs, ours = source_version(Path(unpacked) / NAME), source_version()
    if theirs != ours:
        raise ValueError(
            f"{wheel} holds {NAME} of source {theirs}, here runs {ours}: build it from the source "
            "that runs here, or pack again if that was changed meanwhile"
        )


def needs_of(wheel: Path, extras: Mapping[str, Collection[str]]) -> Needs:
    """What a wheel needs, and of its extras the packages that are asked for.

    Args:
        wheel: Of this package.
        extras: Names of packages by the extra that brings them.
    """
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        described = Parser().parsestr(archive.read(name).decode())
    packages: dict[str, str] = {}
    some: dict[str, dict[str, str]] = {}
    for line in described.get_all("Requires-Dist", []):
        found = re.match(r"([\w.-]+)\s*(?:>=\s*([\d.]+))?", line)
        if found is None:
            continue
        name, lowest = found.group(1), found.group(2) or "0"
        extra = re.search(r"extra == [\"']([\w-]+)", line)
        if extra is None:
            packages[name] = lowest
        elif name in extras.get(extra.group(1), ()):
            some.setdefault(f"'{NAME}[{extra.group(1)}]'", {})[name] = lowest
    python = str(described["Requires-Python"] or ">=3").removeprefix(">=")
    return Needs(python, packages, some)


def _is_source(tree: Path) -> bool:
    """Whether a folder holds the source of this package."""
    try:
        described = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False
    return described.get("project", {}).get("name") == NAME
