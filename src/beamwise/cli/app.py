"""The command `beamwise`: one line and exit status 2 on bad input, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import TextIOWrapper

from cyclopts import App, CycloptsError

import beamwise
from beamwise.cli.demo import demo
from beamwise.cli.evaluate import evaluate
from beamwise.cli.inspect import inspect
from beamwise.cli.output import message
from beamwise.cli.prepare import prepare
from beamwise.cli.recommend import recommend
from beamwise.cli.reproduce import reproduce
from beamwise.cli.tokenize import tokenize
from beamwise.cli.train import train

BAD_INPUT, OUR_MISTAKE, INTERRUPTED = 2, 1, 130
DEBUG = "BEAMWISE_DEBUG"

app = App(
    name="beamwise",
    help="Train generative recommenders whose items survive beam search, and see what was lost.\n\n"
    "Start with: beamwise demo",
    version=beamwise.__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _command in (demo, prepare, tokenize, train, evaluate, recommend, inspect, reproduce):
    app.command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, that of the process where not given; returns the exit status.

    Of several processes that a launcher started, the first one speaks.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        with (
            open(os.devnull, "w", encoding="utf-8") as silence,
            redirect_stdout(silence),
            redirect_stderr(silence),
        ):
            return _run(arguments)
    return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    _write_any_text()
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        message("stopped")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUR_MISTAKE
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _report(error)


def _write_any_text() -> None:
    """Escape what the encoding of a terminal or a pipe lacks, so that no title stops a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: Exception) -> int:
    """Say in one line what went wrong; returns the exit status."""
    text = " ".join(str(error).split())
    if isinstance(error, CycloptsError):
        message(f"beamwise: {text} See beamwise --help.")
        return BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | OSError):
        message(f"beamwise: {text}")
        return BAD_INPUT
    message(
        f"beamwise: unexpected {type(error).__name__}: {text} "
        f"(set {DEBUG}=1 for the traceback and report it)"
    )
    return OUR_MISTAKE
