"""Residual k-means: what its codes are, also where items are few, equal or many."""

import json
from itertools import pairwise

import faiss
import numpy as np
import pytest

from beamwise.tokenization.quantizers.rq_kmeans import RQKMeansConfig, fit_rq_kmeans


def hierarchy(num_items=600, seed=0):
    """Items around 6 centers, and below each around 4 that all centers have in common."""
    random = np.random.default_rng(seed)
    coarse = random.standard_normal((6, 8))
    fine = 0.2 * random.standard_normal((4, 8))
    upper, lower = random.integers(0, 6, num_items), random.integers(0, 4, num_items)
    noise = 0.01 * random.standard_normal((num_items, 8))
    return (coarse[upper] + fine[lower] + noise).astype(np.float32), upper


def test_golden():
    # On a line: 0, 1, 10, 11 with 2 codes. Level 0 has means 0.5 and 10.5, as many items each, so
    # the code of the first item is 0. All leave -0.5 or 0.5, twice each: -0.5 is item 0's.
    vectors = np.array([[0], [1], [10], [11]], np.float32)
    config = RQKMeansConfig(num_levels=2, codebook_size=2, normalize=False)
    quantizer, codes = fit_rq_kmeans(config, vectors)
    assert codes.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert quantizer.codebooks.centroids[0].tolist() == [[0.5], [10.5]]
    assert quantizer.codebooks.centroids[1].tolist() == [[-0.5], [0.5]]
    assert quantizer.encode(np.array([[10.9]], np.float32)).tolist() == [[1, 1]]


def test_every_level_takes_away_from_the_error():
    vectors, _ = hierarchy()
    config = RQKMeansConfig(num_levels=4, codebook_size=8, normalize=False)
    quantizer, codes = fit_rq_kmeans(config, vectors)
    rest, errors = vectors.copy(), [np.square(vectors).sum()]
    for level in range(4):
        rest -= quantizer.codebooks.centroids[level, codes[:, level]]
        errors.append(np.square(rest).sum())
    assert all(after < before for before, after in pairwise(errors))
    assert errors[-1] < 0.01 * errors[0]


def test_first_codes_are_the_planted_centers():
    vectors, upper = hierarchy()
    _, codes = fit_rq_kmeans(RQKMeansConfig(codebook_size=16), vectors)
    mixed = [len(set(upper[codes[:, 0] == code].tolist())) for code in set(codes[:, 0].tolist())]
    assert max(mixed) == 1


def test_codes_are_numbered_by_how_many_items_they_have():
    vectors, _ = hierarchy()
    quantizer, codes = fit_rq_kmeans(RQKMeansConfig(codebook_size=16), vectors)
    for level, column in enumerate(codes.T):
        counts = np.bincount(column, minlength=16)
        assert (np.diff(counts) <= 0).all()
        equal = np.flatnonzero((np.diff(counts) == 0) & (counts[1:] > 0))
        first = [
            int((column == code).argmax()) for code in range(quantizer.codebooks.num_codes[level])
        ]
        assert all(first[code] < first[code + 1] for code in equal)


@pytest.mark.parametrize("balanced", [False, True])
def test_threads_change_nothing(balanced):
    vectors, _ = hierarchy(1500)
    config = RQKMeansConfig(codebook_size=32, balanced=balanced)
    threads = faiss.omp_get_max_threads()
    try:
        codes = []
        for count in (1, 2):
            faiss.omp_set_num_threads(count)
            codes.append(fit_rq_kmeans(config, vectors)[1])
    finally:
        faiss.omp_set_num_threads(threads)
    np.testing.assert_array_equal(*codes)


def test_fewer_items_than_codes_are_the_codes():
    vectors, _ = hierarchy(20)
    config = RQKMeansConfig(codebook_size=256, normalize=False)
    quantizer, codes = fit_rq_kmeans(config, vectors)
    assert sorted(codes[:, 0].tolist()) == list(range(20))
    assert quantizer.codebooks.num_codes == (20, 1, 1, 1)  # nothing is left after the first level
    np.testing.assert_array_equal(codes[:, 1:], np.zeros((20, 3)))


def test_equal_items_among_others_have_equal_codes():
    vectors, _ = hierarchy(300)
    vectors[100:200] = vectors[0]
    _, codes = fit_rq_kmeans(RQKMeansConfig(codebook_size=16), vectors)
    assert len(np.unique(codes[100:200], axis=0)) == 1


def test_a_code_of_equal_items_leaves_exactly_nothing():
    vectors = np.repeat(hierarchy(20)[0], 7, 0)
    config = RQKMeansConfig(num_levels=1, codebook_size=16, normalize=False)
    quantizer, codes = fit_rq_kmeans(config, vectors)
    alone = [code for code in range(16) if (codes[:, 0] == code).sum() == 7]
    assert len(alone) > 5
    for code in alone:
        mine = vectors[codes[:, 0] == code]
        np.testing.assert_array_equal(
            mine, np.repeat(quantizer.codebooks.centroids[0, [code]], 7, 0)
        )


def test_zero_vectors_are_items_like_others():
    vectors, _ = hierarchy(50)
    vectors[:2] = 0
    quantizer, codes = fit_rq_kmeans(RQKMeansConfig(codebook_size=16), vectors)
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(quantizer.encode(vectors[:1]), codes[:1])


def test_a_sample_fits_nearly_as_well_as_all():
    vectors, _ = hierarchy(3000)
    errors = []
    for items_per_code in (10, 10_000):
        config = RQKMeansConfig(num_levels=1, codebook_size=16, items_per_code=items_per_code)
        quantizer, codes = fit_rq_kmeans(config, vectors)
        errors.append(quantizer.last_level_distances(vectors, codes).min(1).sum())
    assert errors[0] != errors[1]
    assert errors[0] < 2 * errors[1]


def test_balanced_residuals_are_those_of_the_codes():
    """The last level's centroids are the means of what its items have left."""
    vectors, _ = hierarchy()
    config = RQKMeansConfig(num_levels=2, codebook_size=8, normalize=False, balanced=True)
    quantizer, codes = fit_rq_kmeans(config, vectors)
    first, second = quantizer.codebooks.centroids
    rest = vectors - first[codes[:, 0]]
    for code in range(8):
        np.testing.assert_allclose(
            rest[codes[:, 1] == code].mean(0), second[code], rtol=1e-4, atol=1e-6
        )
    assert np.bincount(codes[:, 0]).tolist() == [75] * 8


def test_office_texts_are_coded_like_the_published(data_folder):
    """A few hundred titles: prefixes grow with the level and most items are told apart."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    items = json.loads((data_folder / "office" / "Office.item.json").read_text(encoding="utf-8"))
    titles = [item["title"] for item in list(items.values())[:800]]
    words = TfidfVectorizer(sublinear_tf=True).fit_transform(titles)
    vectors = TruncatedSVD(32, random_state=0).fit_transform(words).astype(np.float32)
    _, codes = fit_rq_kmeans(RQKMeansConfig(codebook_size=64), vectors)
    prefixes = [len(np.unique(codes[:, :depth], axis=0)) for depth in (1, 2, 3, 4)]
    assert prefixes[0] == 64
    assert 64 < prefixes[1] < prefixes[2] < prefixes[3]
    assert prefixes[3] > 0.8 * len(np.unique(vectors, axis=0))
