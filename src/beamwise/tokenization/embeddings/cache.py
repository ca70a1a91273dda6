"""Vectors kept by the content that they were made from, so that the same are made once."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from beamwise.tokenization.embeddings import EMBEDDINGS, AnyEmbeddingConfig, Embedding, Progress
from beamwise.tokenization.embeddings.fingerprint import file_fingerprint

FORMAT = 1
"""Part of every key: raise it when the same settings and texts come to give other vectors."""
CONTENTS_FILE = "contents.json"
"""Written last: the hash of every other file of the entry."""
VECTORS_FILE = "vectors.safetensors"
EMBEDDING_FOLDER = "embedding"


def fit_cached(
    config: AnyEmbeddingConfig, items: pl.DataFrame, cache: Path, progress: Progress | None = None
) -> tuple[Embedding, Float32[np.ndarray, "items dim"]]:
    """Fit the embedding on the items and embed them, or take both from the cache.

    An entry is found by a hash of the settings that vectors depend on and of the texts, file or
    weights that they are made from. A damaged entry is made anew, with a warning.

    Args:
        config: Settings.
        items: The item table.
        cache: Folder of all entries; made where it is missing.
        progress: As `Embedding.embed` and the method's fit call it; not called for a kept entry.

    Raises:
        ValueError: As the method's fit and `embed`, or if the cache cannot be written.
    """
    method = EMBEDDINGS[config.name]
    if items.is_empty():
        raise ValueError("there are no items to embed: at least one is needed")
    entry = cache / cache_key(config, items)
    if entry.exists():
        damage = _damage(entry, len(items))
        if damage is None:
            embedding = method.load(config, entry / EMBEDDING_FOLDER)
            return embedding, load_file(entry / VECTORS_FILE)["vectors"]
        warnings.warn(f"the cached vectors in {entry} are made anew: {damage}", stacklevel=2)
    embedding = method.fit(config, items, progress)
    vectors = embedding.embed(items, progress)
    try:
        _write(entry, embedding, vectors)
    except OSError as error:
        raise ValueError(
            f"vectors cannot be kept in {cache} ({error.strerror}): name another folder"
        ) from None
    return embedding, vectors


def cache_key(config: AnyEmbeddingConfig, items: pl.DataFrame) -> str:
    """The name of the entry that these settings and items have."""
    settings = config.model_dump(mode="json", exclude=set(config.ONLY_SPEED))
    content = EMBEDDINGS[config.name].fingerprint(config, items)
    description = json.dumps([FORMAT, settings, content], sort_keys=True)
    return f"{config.name}-{hashlib.sha256(description.encode()).hexdigest()[:32]}"


def _damage(entry: Path, num_items: int) -> str | None:
    """What is wrong with an entry; None if nothing is."""
    try:
        contents = json.loads((entry / CONTENTS_FILE).read_text(encoding="utf-8"))
        if not isinstance(contents, dict) or VECTORS_FILE not in contents:
            return f"{CONTENTS_FILE} does not list {VECTORS_FILE}"
        for name, fingerprint in contents.items():
            if file_fingerprint(entry / name) != fingerprint:
                return f"{name} was changed or cut short"
        rows = len(load_file(entry / VECTORS_FILE)["vectors"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        return (str(error).splitlines() or ["unknown reason"])[0]
    return None if rows == num_items else f"{rows:,} vectors for {num_items:,} items"


def _write(entry: Path, embedding: Embedding, vectors: Float32[np.ndarray, "items dim"]) -> None:
    """Write the entry beside its place and move it there whole."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{entry.name}-", dir=entry.parent) as beside:
        made = Path(beside) / "made"
        embedding.save(made / EMBEDDING_FOLDER)
        save_file({"vectors": vectors}, made / VECTORS_FILE)
        files = sorted(path for path in made.rglob("*") if path.is_file())
        contents = {path.relative_to(made).as_posix(): file_fingerprint(path) for path in files}
        (made / CONTENTS_FILE).write_text(json.dumps(contents), encoding="utf-8")
        if entry.exists():
            shutil.move(entry, Path(beside) / "previous")
        made.rename(entry)
