"""Which way searches go through a tree, whatever its shape: tests compare the two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from beamwise.decoding import runs


@contextmanager
def step_by_step() -> Iterator[None]:
    """Searches inside score one token after the other."""
    with patch.object(runs, "FEWEST_LEVELS", 10**9):
        yield


@contextmanager
def along_runs() -> Iterator[None]:
    """Searches inside take forced runs at once, in trees of few levels too."""
    with patch.object(runs, "FEWEST_LEVELS", 0), patch.object(runs, "TOKENS_A_BRANCHING", 0.0):
        yield
