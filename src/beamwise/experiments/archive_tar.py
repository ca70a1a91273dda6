"""A tar file of plain files, equal for equal content, whose parts are counted as they come."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beamwise.experiments.archive_start import hash_of


class ArchiveFiles:
    """The files of an archive that is being written."""

    def __init__(self, tar: tarfile.TarFile, top: str) -> None:
        self._tar, self._top = tar, top
        self.packed: dict[str, dict[str, Any]] = {}
        """Bytes and SHA-256 of every file, by its path in the archive's folder."""

    def add(self, name: str, path: Path) -> None:
        """Add a file's content; a link's is that of the file it leads to."""
        self._note(name, path.stat().st_size, hash_of(path))
        with path.open("rb") as file:
            self._tar.addfile(self._member(name), file)

    def add_folder(self, name: str, folder: Path) -> None:
        """Add the files of a folder and of those below it; none where it is not there."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add(f"{name}/{path.relative_to(folder).as_posix()}", path)

    def add_text(self, name: str, text: str, *, executable: bool = False) -> None:
        """Add a file of text."""
        self.add_bytes(name, text.encode(), executable=executable)

    def add_bytes(self, name: str, content: bytes, *, executable: bool = False) -> None:
        """Add a file of a content."""
        self._note(name, len(content), hashlib.sha256(content).hexdigest())
        self._tar.addfile(self._member(name, executable=executable), io.BytesIO(content))

    def _note(self, name: str, num_bytes: int, digest: str) -> None:
        if name in self.packed:
            raise ValueError(f"two files of the archive would be named {name}: rename one of them")
        self.packed[name] = {"bytes": num_bytes, "sha256": digest}

    def _member(self, name: str, *, executable: bool = False) -> tarfile.TarInfo:
        """Whose time, owner and machine are nobody's."""
        member = tarfile.TarInfo(f"{self._top}/{name}")
        member.size = self.packed[name]["bytes"]
        member.mode = 0o755 if executable else 0o644
        return member


@contextmanager
def written(archive: Path) -> Iterator[ArchiveFiles]:
    """Write a tar file, complete or not at all; it unpacks into a folder of its name.

    Raises:
        ValueError: If `archive` is a folder.
    """
    if archive.is_dir():
        raise ValueError(f"{archive} is a folder: name a file to write")
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{os.getpid()}.{archive.name}")
    try:
        with tarfile.open(unfinished, "w") as tar:
            yield ArchiveFiles(tar, archive.stem)
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
