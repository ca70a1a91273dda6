"""All figures together: what they are measured on, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from beamwise.tokenization.quality import measure_quality

CODES = np.array([[0, 1], [0, 1], [1, 0], [2, 0], [2, 1]], dtype=np.int32)
VECTORS = np.array([[0, 1], [0, 1], [-0.0, 1], [0, 0], [1, 1]], dtype=np.float32)


def test_parts_fit_together():
    quality = measure_quality(CODES, VECTORS, 4)
    assert (quality.zero_vectors, quality.repeated_vectors) == (1, 2)  # -0.0 equals 0.0
    assert quality.neighbourhood is not None
    assert (quality.neighbourhood.num_items, quality.neighbourhood.num_neighbours) == (4, 3)
    assert quality.variance is not None
    assert len(quality.variance) == len(quality.neighbourhood.lengths) == 2
    assert quality.use.distinct_ids == 4


def test_zero_vectors_do_not_repeat_each_other():
    vectors = VECTORS.copy()
    vectors[4] = 0
    quality = measure_quality(CODES, vectors, 4)
    assert (quality.zero_vectors, quality.repeated_vectors) == (2, 2)


def test_without_vectors():
    quality = measure_quality(CODES, None, 4)
    assert quality.use == measure_quality(CODES, VECTORS, 4).use
    assert quality.zero_vectors is None
    assert quality.repeated_vectors is None
    assert quality.variance is None
    assert quality.neighbourhood is None


def test_only_meaningful_levels_meet_the_vectors():
    suffixed = np.concatenate([CODES, [[0], [9], [0], [0], [0]]], axis=1).astype(np.int32)
    quality = measure_quality(suffixed, VECTORS, 4, num_meaningful_levels=2)
    without = measure_quality(CODES, VECTORS, 4)
    assert quality.variance == without.variance
    assert quality.neighbourhood == without.neighbourhood
    assert (quality.use.distinct_ids, without.use.distinct_ids) == (5, 4)
    level = quality.as_dict()["levels"][2]
    assert level["codes_used"] == 2
    assert "error" not in level


def test_as_dict_is_json_and_complete():
    quality = measure_quality(CODES, VECTORS, 4)
    held = json.loads(json.dumps(quality.as_dict()))
    assert held == quality.as_dict()
    assert held["ids_by_size"] == [[1, 3], [2, 1]]
    assert (held["distinct_ids"], held["colliding_items"], held["sharing_items"]) == (4, 1, 2)
    assert (held["num_items"], held["largest_group"], held["num_meaningful_levels"]) == (5, 2, 2)
    second = held["levels"][1]
    assert (second["level"], second["codes_used"], second["items_by_rank"]) == (2, 2, [3, 2])
    assert quality.variance is not None
    assert quality.neighbourhood is not None
    assert second["error"] == quality.variance[1].error
    assert second["lift"] == quality.neighbourhood.lengths[1].lift
    assert held["neighbourhood"]["cosine_of_all_pairs"] == pytest.approx(
        quality.neighbourhood.cosine_of_all_pairs
    )
    assert {"what", "remedy"} == set(held["warnings"][0])
    assert measure_quality(CODES, None, 4).as_dict()["neighbourhood"] is None


def test_order_of_items_does_not_matter():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 3)).astype(np.int32)
    vectors = rng.standard_normal((60, 5)).astype(np.float32)
    order = rng.permutation(60)
    quality = measure_quality(codes, vectors, 4)
    other = measure_quality(codes[order], vectors[order], 4)
    assert other.use == quality.use
    assert [w.what for w in other.warnings] == [w.what for w in quality.warnings]
    for level in range(3):
        figures, others = (q.as_dict()["levels"][level] for q in (quality, other))
        assert others.pop("items_by_rank") == figures.pop("items_by_rank")
        assert others == pytest.approx(figures)


def test_arguments_reach_the_neighbours():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 1)).astype(np.int32)
    vectors = rng.standard_normal((60, 5)).astype(np.float32)
    quality = measure_quality(codes, vectors, 4, num_neighbours=2, num_probes=7)
    assert quality.neighbourhood is not None
    assert (quality.neighbourhood.num_probes, quality.neighbourhood.num_neighbours) == (7, 2)
    other = measure_quality(codes, vectors, 4, num_neighbours=2, num_probes=7, seed=3)
    assert other != quality
    assert replace(other, neighbourhood=quality.neighbourhood).variance == quality.variance


@pytest.mark.parametrize("dim", [1, 3])
def test_one_item(dim):
    quality = measure_quality(CODES[:1], np.ones((1, dim), np.float32), 4)
    assert (quality.use.distinct_ids, quality.repeated_vectors) == (1, 0)
    assert quality.variance is None
    assert quality.neighbourhood is None


def test_equal_vectors():
    quality = measure_quality(CODES, np.ones((5, 3), np.float32), 4)
    assert quality.variance is None
    assert quality.repeated_vectors == 4
    assert quality.neighbourhood is not None
    assert quality.neighbourhood.cosine_of_all_pairs == pytest.approx(1)


def test_arguments_are_not_changed():
    codes, vectors = CODES.copy(), VECTORS.copy()
    codes.flags.writeable = vectors.flags.writeable = False
    measure_quality(codes, vectors, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codes": CODES[:0]}, r"got 0 items with 2 codes each: give at least one"),
        ({"codes": CODES[:, :0]}, r"got 5 items with 0 codes each: give at least one"),
        ({"codebook_size": 2}, r"code 2 of item 3, level 1, is outside 0..1: raise codebook_size"),
        ({"codes": CODES - 1}, r"code -1 of item 0, level 1, is outside 0..3"),
        ({"codebook_size": 0}, r"codebook_size must be >= 1, got 0"),
        ({"num_neighbours": 0}, r"num_neighbours must be >= 1, got 0"),
        ({"num_probes": 0}, r"num_probes must be >= 1, got 0"),
        ({"num_meaningful_levels": 0}, r"num_meaningful_levels must be in 1..2, got 0"),
        ({"num_meaningful_levels": 3}, r"num_meaningful_levels must be in 1..2, got 3"),
        ({"vectors": VECTORS[:4]}, r"got 5 items and vectors of shape \(4, 2\): give one row"),
        ({"vectors": VECTORS[:, :0]}, r"vectors of shape \(5, 0\): give one row an item"),
        (
            {"vectors": VECTORS + np.float32([[0, np.inf]])},
            r"vector of item 0 holds inf in column 1",
        ),
        ({"vectors": np.full_like(VECTORS, np.nan)}, r"vector of item 0 holds nan in column 0"),
    ],
)
def test_refused(settings, message):
    arguments = {"codes": CODES, "vectors": VECTORS, "codebook_size": 4} | settings
    codes, vectors, size = (arguments.pop(name) for name in ("codes", "vectors", "codebook_size"))
    with pytest.raises(ValueError, match=message):
        measure_quality(codes, vectors, size, **arguments)


def test_a_negative_suffix_is_refused():
    suffixed = np.concatenate([CODES, np.full((5, 1), -1)], axis=1).astype(np.int32)
    with pytest.raises(ValueError, match="code -1 of item 0, level 3"):
        measure_quality(suffixed, None, 4, num_meaningful_levels=2)


@pytest.mark.parametrize(
    ("name", "perplexities", "sharing_items"),
    [("office", (202.0, 26.4, 7.8, 25.1), 10), ("beauty", (218.1, 111.6, 37.4, 60.4), 23)],
)
def test_published_codes(data_folder, name, perplexities, sharing_items):
    (index,) = (data_folder / name).glob("*.index*.json")
    tokens = json.loads(index.read_text(encoding="utf-8")).values()  # level a, code 159: <a_159>
    codes = np.array([[int(token[3:-1]) for token in item] for item in tokens], dtype=np.int32)
    quality = measure_quality(codes, None, 256)
    assert [round(level.perplexity, 1) for level in quality.use.levels] == list(perplexities)
    assert quality.use.sharing_items == sharing_items
    (warning,) = quality.warnings
    assert "level 3 (perplexity" in warning.what
