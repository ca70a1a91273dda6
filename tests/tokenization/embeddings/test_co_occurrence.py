"""`co-occurrence` against a dense decomposition, on training data alone, and kept by content."""

import shutil

import numpy as np
import polars as pl
import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.window_splits import PublishedConfig
from beamwise.tokenization.embeddings import EMBEDDINGS, CoOccurrenceConfig, Embedding
from beamwise.tokenization.embeddings.cache import cache_key, fit_cached
from beamwise.tokenization.embeddings.co_occurrence import (
    CoOccurrenceEmbedding,
    fit_co_occurrence,
    load_co_occurrence,
)

METHOD = EMBEDDINGS["co-occurrence"]
# The last two of each user are targets of validation and test; y has none, its one is kept.
USERS = {"u": "abaee", "v": "bcea", "w": "cddab", "x": "adcb", "y": "f"}
COUNTED = {"u": "ab", "v": "bc", "w": "cd", "x": "ad", "y": "f"}
ITEMS = pl.DataFrame({"item_id": list("abcdefg"), "title": ["A"] * 7})


def write(folder, users=USERS, timestamps=None):
    rows = [(user, item, time) for user, items in users.items() for time, item in enumerate(items)]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if timestamps is not None:
        table = table.with_columns(timestamp=pl.Series(timestamps, dtype=pl.Int64))
    Dataset(Interactions.from_table(table), ITEMS).save(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data")


def vectors_of(folder, items=ITEMS, **settings):
    return fit_co_occurrence(CoOccurrenceConfig(data=folder, **settings), items).embed(items)


def dense_cosines(counted, item_ids):
    """V S of D_u^-1/2 A D_i^-1/2 = U S V^T, in float64, its rows' cosines; 0 for a row of 0."""
    taken = np.array([[item in items for item in item_ids] for items in counted], dtype=np.float64)
    by_user, by_item = (np.maximum(taken.sum(axis), 1) ** -0.5 for axis in (1, 0))
    _, values, directions = np.linalg.svd(by_user[:, None] * taken * by_item, full_matrices=False)
    rows = directions.T * values
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(lengths > 1e-9, lengths, np.inf)
    return rows @ rows.T


def test_cosines_are_those_of_the_dense_decomposition_of_the_training_part(data):
    vectors = vectors_of(data)
    assert (vectors.shape, vectors.dtype) == ((7, 5), np.float32)
    expected = dense_cosines(COUNTED.values(), "abcdefg")
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
    assert expected[0, 1] == pytest.approx(0.5)  # one of two users each: A^T A itself
    # e and g have no interaction in the training part, f the only one of its user
    np.testing.assert_array_equal(np.linalg.norm(vectors, axis=1).round(5), [1, 1, 1, 1, 0, 1, 0])


def test_random_data_in_fewer_dimensions(tmp_path):
    random = np.random.default_rng(0)
    users = {f"u{n}": "".join(random.choice(list("abcdefg"), size=6)) for n in range(40)}
    vectors = vectors_of(write(tmp_path / "data", users), dim=7)
    counted = [items[:-2] for items in users.values()]
    np.testing.assert_allclose(vectors @ vectors.T, dense_cosines(counted, "abcdefg"), atol=1e-4)
    assert vectors_of(tmp_path / "data", dim=3).shape == (7, 3)


def test_targets_of_validation_and_test_are_not_counted(data, tmp_path):
    others = {u: items[:-2] + "gf" if len(items) > 2 else items for u, items in USERS.items()}
    np.testing.assert_array_equal(vectors_of(write(tmp_path / "other", others)), vectors_of(data))
    changed = USERS | {"v": "bdea"}
    assert not np.allclose(vectors_of(write(tmp_path / "third", changed)), vectors_of(data))


def test_the_split_is_that_of_the_settings(tmp_path):
    times = {"u": "abc", "v": "cba"}
    data = write(tmp_path / "data", times, timestamps=[0, 1, 2, 10, 11, 12])
    by_time = vectors_of(data, split={"name": "by-time", "validation": 0.25, "test": 0.25})
    # targets at 1, 2, 11, 12: training ends before 11, so all of u and the first of v count
    expected = dense_cosines(["abc", "c"], "abcdefg")
    np.testing.assert_allclose(by_time @ by_time.T, expected, atol=1e-5)


def test_items_that_nobody_took_are_blank_or_refused(data):
    with pytest.raises(ValueError, match=r"item 'e' was taken by nobody .* \(2 of 7 items\)"):
        vectors_of(data, missing="refuse")
    assert vectors_of(data, ITEMS.filter(~ITEMS["item_id"].is_in(["g"]))).shape == (6, 5)


def test_an_item_that_came_later_is_refused_with_the_remedy(data):
    embedding = fit_co_occurrence(CoOccurrenceConfig(data=data), ITEMS)
    np.testing.assert_array_equal(embedding.embed(ITEMS[2:3]), embedding.embed(ITEMS)[2:3])
    later = pl.DataFrame({"item_id": ["a", "new", "newer"], "title": [None] * 3})
    with pytest.raises(ValueError, match=r"item 'new' came after .* \(2 items did\)") as caught:
        embedding.embed(later)
    assert "--set embedding.name=tfidf-svd" in str(caught.value)


def test_the_same_bits_every_time_and_progress_ends(data):
    told = []
    config = CoOccurrenceConfig(data=data)
    first = fit_co_occurrence(config, ITEMS, lambda *counts: told.append(counts))
    assert told == [(7, 7)]
    first.embed(ITEMS[:2], lambda *counts: told.append(counts))
    assert told[-1] == (2, 2)
    np.testing.assert_array_equal(fit_co_occurrence(config, ITEMS).vectors, first.vectors)


def test_loaded_is_as_it_was_also_for_data_elsewhere(data, tmp_path):
    config = CoOccurrenceConfig(data=data, dim=2)
    embedding = METHOD.fit(config, ITEMS, None)
    assert isinstance(embedding, Embedding)
    embedding.save(tmp_path / "saved")
    shutil.rmtree(data)
    elsewhere = config.model_copy(update={"data": None, "missing": "refuse"})
    loaded = load_co_occurrence(elsewhere, tmp_path / "saved")
    np.testing.assert_array_equal(loaded.embed(ITEMS[:4]), embedding.embed(ITEMS[:4]))
    with pytest.raises(ValueError, match="taken by nobody"):
        loaded.embed(ITEMS)
    with pytest.raises(ValueError, match=r"was fitted with embedding.dim=2, not 3"):
        load_co_occurrence(config.model_copy(update={"dim": 3}), tmp_path / "saved")


@pytest.mark.parametrize("lost", ["item_ids", "vectors", "one id"])
def test_a_damaged_state_is_refused(tmp_path, lost):
    config = CoOccurrenceConfig()
    ids = ITEMS["item_id"][: 6 if lost == "one id" else 7]
    CoOccurrenceEmbedding(config, ids, np.eye(7, dtype=np.float32)).save(tmp_path)
    path = tmp_path / ("embedding.safetensors" if lost == "vectors" else "embedding.json")
    path.write_bytes(path.read_bytes().replace(lost.encode(), b"x" * len(lost)))
    with pytest.raises(ValueError, match="is missing or damaged: tokenize again"):
        load_co_occurrence(config, tmp_path)


def test_vectors_are_kept_by_the_interactions_wherever_they_lie(data, tmp_path, monkeypatch):
    fits = []
    real = METHOD.fit
    counted = METHOD._replace(fit=lambda *given: fits.append(given) or real(*given))
    monkeypatch.setitem(EMBEDDINGS, "co-occurrence", counted)
    cache = tmp_path / "cache"
    config = CoOccurrenceConfig()
    _, vectors = fit_cached(config.at(data), ITEMS, cache)
    copy = shutil.copytree(data, tmp_path / "copy")
    _, again = fit_cached(config.at(copy), ITEMS, cache)
    np.testing.assert_array_equal(again, vectors)
    assert len(fits) == 1
    write(copy, USERS | {"v": "bdea"})
    _, others = fit_cached(config.at(copy), ITEMS, cache)
    assert len(fits) == 2
    assert not np.allclose(others, vectors)
    fit_cached(config.at(data), ITEMS.reverse(), cache)
    fit_cached(config.at(data).model_copy(update={"dim": 2}), ITEMS, cache)
    assert len(fits) == len(list(cache.iterdir())) == 4


def test_the_dataset_that_is_tokenized_is_counted_where_none_is_named(data, tmp_path):
    assert CoOccurrenceConfig().at(data).data == data
    assert CoOccurrenceConfig(data=data).at(tmp_path).data == data
    for use in (fit_co_occurrence, cache_key):
        with pytest.raises(ValueError, match=r"embedding.data is not set: name the dataset folder"):
            use(CoOccurrenceConfig(), ITEMS)


def test_items_and_interactions_that_do_not_fit(data, tmp_path):
    with pytest.raises(ValueError, match="'e' of the interactions is none of the 4 items"):
        vectors_of(data, ITEMS.filter(ITEMS["item_id"].is_in(list("abcd"))))
    with pytest.raises(ValueError, match=r"no file at .*interactions.parquet"):
        vectors_of(tmp_path / "absent")


def test_published_targets_say_what_is_counted(data):
    dataset = Dataset.load(data)
    rows = [("u", 1, "training"), ("v", 2, "training"), ("x", 2, "validation"), ("w", 3, "test")]
    columns = ["user_id", "position", "part"]
    config = CoOccurrenceConfig(data=data, split=PublishedConfig())
    keys = [cache_key(config, ITEMS)]
    for targets in (rows, [("u", 2, "training"), *rows[1:]]):
        table = pl.DataFrame(targets, schema=columns, orient="row")
        Dataset(dataset.interactions, ITEMS, targets=table).save(data)
        keys.append(cache_key(config, ITEMS))
    assert len(set(keys)) == 3
    # u's items up to its target of training, v's likewise, and nothing of the others
    vectors = fit_co_occurrence(config, ITEMS).embed(ITEMS)
    expected = dense_cosines(["aba", "bce"], "abcdefg")
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
