"""Who is at a run of a comparison: a lock that dies with its process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claimed(run: Path) -> Iterator[bool]:
    """Claim a run folder for this process; gives whether nobody else had it.

    The claim is an advisory lock on the file `RUN.lock` beside the folder. The system releases it
    when its process ends, however it ends, so one that was killed leaves no claim behind. On a
    network file system it holds between machines only where that supports `flock`.
    """
    path = run.with_name(f"{run.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
