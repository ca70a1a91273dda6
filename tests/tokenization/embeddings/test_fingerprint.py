"""Hashes of what vectors are made from: equal for equal content, another for any other."""

import polars as pl
import pytest

from beamwise.tokenization.embeddings import TfidfSvdConfig
from beamwise.tokenization.embeddings.fingerprint import (
    SAMPLE_BYTES,
    SAMPLES,
    file_fingerprint,
    folder_fingerprint,
    strings_fingerprint,
    text_fingerprint,
)


def strings(*values):
    return strings_fingerprint(pl.Series(values, dtype=pl.String))


def test_strings_are_told_apart_by_value_order_and_ends():
    known = [strings("a", "b"), strings("b", "a"), strings("ab"), strings("ab", ""), strings()]
    assert len(set(known)) == len(known)
    assert strings("a", "b") == strings("a", "b")


def test_texts_count_ids_and_unused_columns_do_not():
    items = pl.DataFrame({"item_id": ["a"], "title": ["Pen"], "price": [1.0]})
    config = TfidfSvdConfig()
    same = items.with_columns(item_id=pl.lit("b"), price=pl.lit(2.0))
    other = items.with_columns(title=pl.lit("Pan"))
    assert text_fingerprint(config, items) == text_fingerprint(config, same)
    assert text_fingerprint(config, items) != text_fingerprint(config, other)


def test_files(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = file_fingerprint(path)
    path.write_bytes(b"2")
    assert file_fingerprint(path) != before
    with pytest.raises(ValueError, match=r"absent cannot be read .*: give the path"):
        file_fingerprint(tmp_path / "absent")


def model_folder(folder, content):
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(content)
    (folder / "vocab.txt").write_text("a b")
    return folder


def test_a_copied_folder_is_the_same_model(tmp_path):
    first = model_folder(tmp_path / "a", b"1234")
    copy = model_folder(tmp_path / "b", b"1234")
    (copy / "README.md").write_text("about it")
    assert folder_fingerprint(first) == folder_fingerprint(copy)
    (copy / "vocab.txt").write_text("a c")
    assert folder_fingerprint(first) != folder_fingerprint(copy)


def test_a_change_within_large_weights_shows(tmp_path):
    size = 3 * SAMPLES * SAMPLE_BYTES
    zeros = folder_fingerprint(model_folder(tmp_path / "a", bytes(size)))
    block = 4 * SAMPLE_BYTES  # wider than the way from one sample to the next
    for number, start in enumerate([0, size // 2, size - block]):
        content = bytearray(size)
        content[start : start + block] = b"\1" * block
        assert folder_fingerprint(model_folder(tmp_path / f"b{number}", content)) != zeros
