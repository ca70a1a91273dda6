"""A trained run for all tests of the command line, and a way to call it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from beamwise.cli.app import main
from beamwise.testing.tiny_run import TINY_TOKENIZER, tiny_run, tiny_title_run
from beamwise.training.run import open_run


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of a refusal."""
        assert self.status == 2, self
        assert self.out == ""
        assert self.err.startswith("beamwise: ")
        assert self.err.count("\n") == 1
        return self.err.strip()


@pytest.fixture
def beamwise(capsys) -> Callable[..., Outcome]:
    """Call the command line in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with `data` and `run`, for reading only."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_run(folder)
    return folder


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """As `tiny`, on data with a tokenizer that can code further items."""
    folder = tmp_path_factory.mktemp("fitted")
    tiny_run(folder, TINY_TOKENIZER)
    return folder


@pytest.fixture(scope="session")
def titled(tmp_path_factory) -> Path:
    """As `tiny`, a language model on titles."""
    folder = tmp_path_factory.mktemp("titled")
    tiny_title_run(folder)
    return folder


@pytest.fixture
def titled_run(titled, tmp_path) -> Path:
    """A copy of its run folder, to be written to."""
    return shutil.copytree(titled / "run", tmp_path / "titled")


@pytest.fixture(scope="session")
def foreign(tiny, tmp_path_factory) -> Path:
    """The tiny run's model as a folder of `transformers`."""
    from transformers.utils import logging

    folder = tmp_path_factory.mktemp("foreign")
    logging.disable_progress_bar()
    open_run(tiny / "run").backbone.to_huggingface().save_pretrained(folder)
    logging.enable_progress_bar()
    return folder


@pytest.fixture
def run(tiny, tmp_path) -> Path:
    """A copy of the run folder, to be damaged or written to."""
    return shutil.copytree(tiny / "run", tmp_path / "run")
