"""What a tokenizer made, put into the dataset folder whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import Dataset
from beamwise.tokenization.item_tokenizer import ItemTokenizer
from beamwise.tokenization.quantized import tokenize_quantized
from beamwise.tokenization.tokenized import Tokenized, beside, note_version, swap

from .conftest import contents


def given(codes) -> Tokenized:
    catalog = Catalog.from_codes(np.array(codes), 4, [f"i{n}" for n in range(len(codes))])
    return Tokenized(catalog, 4, len(codes[0]), None)


def versions(folder: Path) -> list[dict]:
    text = (folder / "tokenizer" / "versions.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_codes_are_those_of_the_catalog():
    assert given([[3, 0], [1, 2], [3, 0]]).codes.tolist() == [[3, 0], [1, 2], [3, 0]]


def test_catalog_and_tokenizer_are_saved_and_a_line_says_so(prepare, small):
    folder = prepare()
    tokenized = tokenize_quantized(small, folder)
    tokenized.save(folder)
    assert Catalog.load(folder / "catalog").version == tokenized.catalog.version
    assert ItemTokenizer.load(folder / "tokenizer").codebook_size == 8
    line = {"version": tokenized.catalog.version, "items": 24, "fitted": True}
    assert versions(folder) == [line]
    note_version(folder / "tokenizer", tokenized.catalog, {"added": 0})
    assert versions(folder) == [line, {"version": line["version"], "items": 24, "added": 0}]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_codes_without_a_tokenizer_remove_the_earlier_one(prepare, small):
    folder = prepare()
    tokenize_quantized(small, folder).save(folder)
    given([[0]]).save(folder)
    assert not (folder / "tokenizer").exists()
    assert Catalog.load(folder / "catalog").num_items == 1


def test_a_failed_save_leaves_what_was_there(prepare, small, monkeypatch):
    folder = prepare()
    tokenized = tokenize_quantized(small, folder)
    tokenized.save(folder)
    before = contents(folder)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(ItemTokenizer, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        tokenized.save(folder)
    assert contents(folder) == before


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("error", [OSError("device busy"), KeyboardInterrupt()])
def test_moves_are_taken_back_where_one_fails(prepare, small, monkeypatch, failing, error):
    folder = prepare()
    first = tokenize_quantized(small, folder)
    first.save(folder)
    before = contents(folder)
    quantizer = small.quantizer.model_copy(update={"seed": 1})
    second = tokenize_quantized(small.model_copy(update={"quantizer": quantizer}), folder)
    path_type, real, moves = type(folder), type(folder).rename, []

    def rename(path, target):
        moves.append(path.name)
        if len(moves) == failing + 1:
            raise error
        return real(path, target)

    monkeypatch.setattr(path_type, "rename", rename)
    with pytest.raises(type(error)):
        second.save(folder)
    monkeypatch.undo()
    assert contents(folder) == before
    assert Catalog.load(folder / "catalog").version == first.catalog.version
    Dataset.load(folder)
    second.save(folder)
    assert Catalog.load(folder / "catalog").version == second.catalog.version


def test_swap_replaces_adds_and_removes_files_and_folders(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "gone").mkdir()
    (tmp_path / "kept.txt").write_text("kept")
    with beside(tmp_path) as made:
        assert made.parent == tmp_path
        (made / "old.txt").write_text("new")
        (made / "more").mkdir()
        swap(made, tmp_path, ("old.txt", "gone", "more", "never"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.txt", "more", "old.txt"]
    assert (tmp_path / "old.txt").read_text() == "new"
