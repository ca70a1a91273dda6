"""Where a result comes from: the data, the code that made it, and the machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import torch

from beamwise._version import __version__

PROVENANCE_FILE = "provenance.json"
"""Of a run folder."""
PACKAGE = Path(__file__).parents[1]
BUILT_FROM_FILE = "built_from.json"
"""In a package that was installed from a checkout's wheel: that commit, and its source's hash."""


@dataclass(frozen=True)
class Provenance:
    """What made a result, as results keep it."""

    version: str
    """Of this package."""
    source: str
    """Hash of this package's source files: results of equal hashes were made by the same code."""
    commit: str | None
    """Of the checkout that the package lies in or was built from, `-dirty` where files were changed
    since; None where neither is known."""
    processor: str
    cores: int
    threads: int
    """That torch computed with, outside of parallel loading."""
    device: str
    """Name of the accelerator, or cpu."""
    torch: str
    """Version of PyTorch."""


@dataclass(frozen=True)
class Origin:
    """What a run folder says of the data and of all that trained it."""

    data: str
    """`RunData.version` of what it was trained on."""
    made_by: tuple[Provenance, ...]
    """Each code and machine that trained a part of it, in order."""
    source: str | None = None
    """Hash of the weights it began with, where those are another run's."""

    def continued(self, here: Provenance) -> Origin:
        """The origin when training goes on here."""
        return self if here in self.made_by else replace(self, made_by=(*self.made_by, here))

    def save(self, folder: Path) -> None:
        """Write `provenance.json` into a run folder, complete or not at all."""
        unfinished = folder / f".{os.getpid()}.{PROVENANCE_FILE}"
        unfinished.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(folder / PROVENANCE_FILE)

    @classmethod
    def load(cls, folder: Path) -> Origin | None:
        """Read what `save` wrote; None where a run folder does not say.

        Raises:
            ValueError: If the file is damaged.
        """
        path = folder / PROVENANCE_FILE
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            made_by = tuple(Provenance(**made) for made in content["made_by"])
            return cls(content["data"], made_by, content.get("source"))
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} is damaged: remove it, and the run no longer says what made it"
            ) from None


def provenance(device: torch.device | str = "cpu") -> Provenance:
    """What a result made now on `device` comes from."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Provenance(
        version=__version__,
        source=source_version(),
        commit=commit(),
        processor=processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=name,
        torch=torch.__version__,
    )


@cache
def source_version(package: Path = PACKAGE) -> str:
    """Hash of all Python files and presets of the package, names and contents, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".yaml"):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def commit(package: Path = PACKAGE) -> str | None:
    """The commit of the checkout whose file the package is, or that it was built from.

    None where no checkout holds it and nothing readable says what it was built from.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return _built_from(package)
    return _git(package, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def built_from(commit: str, source: str) -> str:
    """What `BUILT_FROM_FILE` says in a package that was built from a commit.

    Args:
        commit: As `commit` tells it in the checkout.
        source: As `source_version` tells it there; where the installed files have another, they
            were changed since.
    """
    return json.dumps({"commit": commit, "source": source}) + "\n"


def _built_from(package: Path) -> str | None:
    """The commit that the package says it was built from; None where it does not say."""
    try:
        content = json.loads((package / BUILT_FROM_FILE).read_text(encoding="utf-8"))
        made_from, source = str(content["commit"]), content["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_changed = source != source_version(package) and not made_from.endswith("-dirty")
    return f"{made_from}-dirty" if is_changed else made_from


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


@cache
def processor() -> str:
    """Name of the processor, as the system has it."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
