"""`file`: vectors by item, and what is said where a file does not fit the items."""

import numpy as np
import polars as pl
import pytest

from beamwise.tokenization.embeddings import Embedding, FileConfig
from beamwise.tokenization.embeddings.file import (
    file_content_fingerprint,
    fit_file,
    load_file_embedding,
)

VECTORS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)


def table(*ids):
    titles = pl.Series([None] * len(ids), dtype=pl.String)
    return pl.DataFrame({"item_id": pl.Series(ids, dtype=pl.String), "title": titles})


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "v.parquet"
    pl.DataFrame({"item_id": ["b", "a", "c"], "vector": VECTORS}).write_parquet(path)
    return path


@pytest.fixture
def npy(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, VECTORS)
    return path


def test_vectors_go_by_id(parquet):
    told = []
    embedding = fit_file(FileConfig(file=parquet), table("a", "b", "c"))
    assert isinstance(embedding, Embedding)
    vectors = embedding.embed(table("c", "a"), lambda *count: told.append(count))
    np.testing.assert_array_equal(vectors, VECTORS[[2, 1]])
    assert told == [(2, 2)]
    assert embedding.embed(table()).shape == (0, 2)


def test_rows_of_npy_follow_the_items(npy):
    embedding = fit_file(FileConfig(file=npy), table("x", "y", "z"))
    np.testing.assert_array_equal(embedding.embed(table("z", "x")), VECTORS[[2, 0]])
    with pytest.raises(ValueError, match=r"v.npy has 3 rows for 2 items: give it one row for each"):
        fit_file(FileConfig(file=npy), table("x", "y"))


def test_items_without_a_vector(parquet):
    embedding = fit_file(FileConfig(file=parquet), table("a", "b", "c"))
    with pytest.raises(ValueError, match=r"no vector for item 'd' \(2 of 3 items\): ") as caught:
        embedding.embed(table("a", "d", "e"))
    assert "--set embedding.file=FILE" in str(caught.value)


def test_vectors_of_unknown_items_are_refused_or_ignored(parquet):
    with pytest.raises(ValueError, match=r"vectors of 2 items that the dataset has not.* is 'a'"):
        fit_file(FileConfig(file=parquet), table("b"))
    embedding = fit_file(FileConfig(file=parquet, unknown="ignore"), table("b"))
    np.testing.assert_array_equal(embedding.embed(table("b")), VECTORS[:1])


def test_items_added_later_come_from_another_file(parquet, tmp_path):
    config = FileConfig(file=parquet)
    fit_file(config, table("a", "b", "c")).save(tmp_path / "state")
    loaded = load_file_embedding(config, tmp_path / "state")
    np.testing.assert_array_equal(loaded.embed(table("a")), VECTORS[[1]])
    new = tmp_path / "new.csv"
    new.write_text("item_id,x,y\nd,7,8\n")
    later = load_file_embedding(FileConfig(file=new), tmp_path / "state")
    np.testing.assert_array_equal(later.embed(table("d")), [[7, 8]])
    new.write_text("item_id,x\nd,7\n")
    with pytest.raises(ValueError, match=r"vectors of 1 numbers, those of the fit have 2"):
        load_file_embedding(FileConfig(file=new), tmp_path / "state")


def test_npy_knows_its_items_after_loading(npy, parquet, tmp_path):
    config = FileConfig(file=npy)
    fit_file(config, table("x", "y", "z")).save(tmp_path / "state")
    loaded = load_file_embedding(config, tmp_path / "state")
    np.testing.assert_array_equal(loaded.embed(table("y")), VECTORS[[1]])
    with pytest.raises(ValueError, match=r"no vector for item 'new'.*Parquet or CSV"):
        loaded.embed(table("new"))
    np.save(npy, VECTORS[:2])
    with pytest.raises(ValueError, match="has 2 rows for 3 items"):
        load_file_embedding(config, tmp_path / "state")


def test_npy_cannot_follow_a_file_with_ids(npy, parquet, tmp_path):
    fit_file(FileConfig(file=parquet), table("a", "b", "c")).save(tmp_path / "state")
    with pytest.raises(ValueError, match=r"v.npy names no items: write a Parquet or CSV file"):
        load_file_embedding(FileConfig(file=npy), tmp_path / "state")


def test_the_fingerprint_is_of_content_and_order(npy, parquet):
    def of(path, *ids):
        return file_content_fingerprint(FileConfig(file=path), table(*ids))

    first = of(npy, "x", "y", "z")
    assert len({first, of(npy, "y", "x", "z"), of(parquet, "x", "y", "z")}) == 3
    np.save(npy, VECTORS + 1)
    assert of(npy, "x", "y", "z") != first
