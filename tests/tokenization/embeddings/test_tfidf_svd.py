"""`tfidf-svd`: its geometry against naive tf-idf, tiny catalogs, scripts, and the round trip."""

import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.tokenization.embeddings import EMBEDDINGS, Embedding, TfidfSvdConfig
from beamwise.tokenization.embeddings.tfidf_svd import (
    ITEMS_AT_ONCE,
    WORDS,
    fit_tfidf_svd,
    load_tfidf_svd,
    normal_form,
)

TITLES = ["Blue pen", "Red pen", "red red lamp", "Desk lamp", "Desk"]


def table(*titles):
    ids = [f"item-{index}" for index in range(len(titles))]
    return pl.DataFrame({"item_id": ids, "title": pl.Series(titles, dtype=pl.String)})


def vectors_of(*titles, **settings):
    return fit_tfidf_svd(TfidfSvdConfig(**settings), table(*titles)).embed(table(*titles))


def naive_cosines(titles):
    """Of tf-idf vectors: weight (1 + ln tf) (1 + ln((1 + items) / (1 + df)))."""
    counts = [Counter(title.lower().split()) for title in titles]
    df = Counter(word for count in counts for word in count)
    weights = [
        {w: (1 + math.log(tf)) * (1 + math.log((1 + len(titles)) / (1 + df[w])))
         for w, tf in count.items()}
        for count in counts
    ]  # fmt: skip
    dot = [[sum(a[w] * b.get(w, 0) for w in a) for b in weights] for a in weights]
    return [[dot[i][j] / math.sqrt(dot[i][i] * dot[j][j]) for j in range(len(titles))]
            for i in range(len(titles))]  # fmt: skip


def test_with_all_directions_kept_cosines_are_those_of_tfidf():
    vectors = vectors_of(*TITLES)
    assert vectors.shape == (5, 5)
    np.testing.assert_allclose(vectors @ vectors.T, naive_cosines(TITLES), atol=2e-6)


def test_settings_change_the_weights():
    plain = vectors_of(*TITLES, sublinear_tf=False)
    assert not np.allclose(plain @ plain.T, naive_cosines(TITLES), atol=1e-3)
    assert vectors_of(*TITLES, dim=2).shape == (5, 2)
    terms = fit_tfidf_svd(TfidfSvdConfig(max_ngram=2), table(*TITLES)).terms
    words = ["blue", "desk", "lamp", "pen", "red"]
    assert terms == sorted([*words, "blue pen", "desk lamp", "red lamp", "red pen", "red red"])
    assert fit_tfidf_svd(TfidfSvdConfig(max_features=2), table(*TITLES[:3])).terms == ["pen", "red"]


@pytest.mark.parametrize("titles", [["Pen"], ["7"], ["Pen", "Pen"], ["Pen", "Lamp"], ["A b c d"]])
def test_tiny_catalogs(titles):
    vectors = vectors_of(*titles)
    assert vectors.shape == (len(titles), len(set(titles)))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_equal_texts_have_equal_vectors_and_no_direction_of_noise():
    vectors = vectors_of("Blue pen", "Red lamp", "Blue pen", "Blue pen", "Red lamp")
    assert vectors.shape == (5, 2)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert vectors[0] @ vectors[1] == pytest.approx(0, abs=1e-6)


@given(titles=st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_any_texts_give_unit_vectors_or_zeros_where_there_is_no_word(titles):
    has_words = [bool(WORDS.findall(normal_form(title))) for title in titles]
    if not any(has_words):
        with pytest.raises(ValueError, match=r"^no word stands in at least 1 of the texts"):
            vectors_of(*titles, missing="blank")
        return
    vectors = vectors_of(*titles, missing="blank")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), has_words, rtol=1e-5)


def test_text_without_a_word_is_an_item_without_text():
    with pytest.raises(ValueError, match=r"item 'item-1' has no word .*\(1 of 2 items\).*missing="):
        vectors_of("Pen", "!?")
    np.testing.assert_array_equal(vectors_of("Pen", "!?", missing="blank"), [[1], [0]])


def test_new_items_need_a_known_word():
    embedding = fit_tfidf_svd(TfidfSvdConfig(), table(*TITLES))
    close = embedding.embed(table("A blue pen of an unknown make"))
    np.testing.assert_allclose(close, embedding.embed(table(*TITLES))[:1], atol=1e-6)
    with pytest.raises(ValueError, match="'item-0' has no word that the embedding knows"):
        embedding.embed(table("Quartz"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"min_df": 3}, "at least 3 of the texts of 2"), ({"min_df": 2}, "lower embedding.min_df")],
)
def test_no_term_is_frequent_enough(settings, message):
    with pytest.raises(ValueError, match=message):
        vectors_of("Pen", "Lamp", **settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AT&T's 2-pack, A4", ["at", "t", "s", "2", "pack", "a4"]),
        ("蓝色笔 pen", ["蓝", "色", "笔", "pen"]),
        ("青いペン", ["青", "い", "ペ", "ン"]),
        ("파란 펜", ["파란", "펜"]),
        ("नीली पेन हिन्दी", ["नीली", "पेन", "हिन्दी"]),
        ("Straße CAFE\u0301 \uff21\uff14", ["strasse", "café", "a4"]),
        ("синяя ручка", ["синяя", "ручка"]),
        ("!? … 😀", []),
    ],
)
def test_words_of_all_scripts(text, words):
    assert WORDS.findall(normal_form(text)) == words


def test_a_shared_character_makes_unspaced_texts_neighbours():
    vectors = vectors_of("蓝色钢笔", "红色钢笔", "木桌")
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[0] @ vectors[2] == pytest.approx(0, abs=1e-6)


def test_loaded_embeds_bit_for_bit_as_before(tmp_path):
    config = TfidfSvdConfig(dim=3, max_ngram=2)
    embedding = fit_tfidf_svd(config, table(*TITLES))
    assert isinstance(embedding, Embedding)
    embedding.save(tmp_path)
    new = table("blue lamp", "desk pen", "red")
    loaded = load_tfidf_svd(config, tmp_path)
    np.testing.assert_array_equal(loaded.embed(new), embedding.embed(new))
    assert [p.name for p in tmp_path.iterdir() if p.suffix not in (".json", ".safetensors")] == []


def test_a_vector_depends_on_its_item_alone_and_progress_ends(monkeypatch):
    titles = TITLES * 3
    embedding = fit_tfidf_svd(TfidfSvdConfig(), table(*titles))
    whole = embedding.embed(table(*titles))
    monkeypatch.setattr("beamwise.tokenization.embeddings.tfidf_svd.ITEMS_AT_ONCE", 4)
    told = []
    np.testing.assert_array_equal(
        embedding.embed(table(*titles), lambda done, total: told.append((done, total))), whole
    )
    assert told == [(4, 15), (8, 15), (12, 15), (15, 15)]
    np.testing.assert_array_equal(embedding.embed(table(titles[7])), whole[7:8])
    assert embedding.embed(table()).shape == (0, 5)


def test_fit_tells_how_many_texts_are_read():
    told = []
    fit_tfidf_svd(TfidfSvdConfig(), table("Pen", "Lamp"), lambda *count: told.append(count))
    assert told == [(2, 2)]
    assert ITEMS_AT_ONCE > 2


FIT = """
import sys, hashlib, polars as pl
from beamwise.tokenization.embeddings.tfidf_svd import *
titles = [f"w{i % 7} w{i % 11} w{i % 13} w{i * i % 17}" for i in range(300)]
items = pl.DataFrame({"item_id": [str(i) for i in range(300)], "title": titles})
print(hashlib.sha256(fit_tfidf_svd(TfidfSvdConfig(dim=16), items).embed(items)).hexdigest())
"""


@pytest.mark.slow
def test_the_same_bits_in_every_process_with_any_number_of_threads():
    prints = set()
    for threads, hash_seed in (("1", "0"), ("2", "1")):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", FIT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        prints.add(done.stdout)
    assert len(prints) == 1


def test_neighbours_on_published_texts_share_categories(data_folder):
    """Nearest of other items by the title alone; a random one shares the category in 3 %."""
    items = read_source(SemanticIdJsonConfig(folder=data_folder / "office")).items
    config = TfidfSvdConfig(columns=("title",), missing="blank")
    vectors = EMBEDDINGS["tfidf-svd"].fit(config, items, None).embed(items)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    categories = items["categories"].to_numpy()
    assert (categories[cosines.argmax(axis=1)] == categories).mean() > 0.5
