"""Hashes of what vectors are made from, so that they are computed once and never mixed up."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from beamwise.data.bad_input import bad_file
from beamwise.tokenization.embeddings.base import TextEmbeddingConfig

SAMPLES = 256
SAMPLE_BYTES = 4096
"""Of a file larger than all samples together: 1 MiB of it is read, spread evenly. Other weights
differ in most tensors, so not to meet a change in one of them needs hundreds of misses."""
NO_PART_OF_A_MODEL = {".md", ".txt", ".lock"}
KEPT_TEXTS = {"vocab.txt", "merges.txt"}


def text_fingerprint(config: TextEmbeddingConfig, items: pl.DataFrame) -> str:
    """A hash of the items' texts in their order.

    Raises:
        ValueError: If an item has no text and the settings refuse that.
    """
    return strings_fingerprint(config.texts(items))


def strings_fingerprint(strings: pl.Series) -> str:
    """A hash of strings in their order; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for string in strings:
        content = string.encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def file_fingerprint(path: Path) -> str:
    """A hash of all that a file holds.

    Raises:
        ValueError: If there is no such file or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise bad_file(
            path, f"cannot be read ({error.strerror})", "give the path of a file that is there"
        ) from None


def folder_fingerprint(folder: Path) -> str:
    """A hash of the names, sizes and sampled contents of a model's files, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.suffix in NO_PART_OF_A_MODEL and path.name not in KEPT_TEXTS:
            continue
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        for sample in _samples(path):
            digest.update(sample)
    return digest.hexdigest()


def _samples(path: Path) -> list[bytes]:
    size = path.stat().st_size
    if size <= SAMPLES * SAMPLE_BYTES:
        return [path.read_bytes()]
    with path.open("rb") as file:
        found = []
        for number in range(SAMPLES):
            file.seek(number * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            found.append(file.read(SAMPLE_BYTES))
    return found
