"""Codes level by level, against loops in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.quantizers import residual_codebooks
from beamwise.tokenization.quantizers.residual_codebooks import (
    ResidualCodebooks,
    blocks,
    cluster_means,
    kmeans,
    nearest,
    squared_distances,
    subtract,
)


def random_codebooks(random, num_codes=(5, 3, 4), codebook_size=6, dim=4):
    levels = [random.standard_normal((n, dim)).astype(np.float32) for n in num_codes]
    return ResidualCodebooks.of_levels(levels, codebook_size)


def naive(codebooks, vector):
    """Codes of one vector and what is left before each level."""
    residual, codes, residuals = vector.astype(np.float64), [], []
    for centroids, count in zip(codebooks.centroids, codebooks.num_codes, strict=True):
        distances = [float(((residual - e) ** 2).sum()) for e in centroids[:count]]
        codes.append(int(np.argmin(distances)))
        residuals.append(residual)
        residual = residual - centroids[codes[-1]]
    return codes, residuals


def test_golden():
    # Level 0 has 0 and 10, level 1 has -1 and 2. 11.5 is nearest to 10; 1.5 left, nearest to 2.
    codebooks = ResidualCodebooks.of_levels(
        [np.array([[0], [10]], np.float32), np.array([[-1], [2]], np.float32)], 3
    )
    vectors = np.array([[11.5], [-4.0]], np.float32)
    assert codebooks.encode(vectors).tolist() == [[1, 1], [0, 0]]
    distances = codebooks.last_level_distances(vectors, codebooks.encode(vectors))
    assert distances.tolist() == [[6.25, 0.25, np.inf], [9, 36, np.inf]]
    # Given another code of level 0, 11.5 is left: 12.5 and 9.5 away.
    given_zero = codebooks.last_level_distances(vectors, np.array([[0, 2], [0, 2]]))
    assert given_zero[0].tolist() == [12.5**2, 9.5**2, np.inf]


@given(seed=st.integers(0, 2**32 - 1))
def test_codes_and_distances_are_the_naive_ones(seed):
    random = np.random.default_rng(seed)
    codebooks = random_codebooks(random)
    vectors = random.standard_normal((7, 4)).astype(np.float32)
    codes = codebooks.encode(vectors)
    distances = codebooks.last_level_distances(vectors, codes)
    for vector, row, distance in zip(vectors, codes, distances, strict=True):
        expected, residuals = naive(codebooks, vector)
        assert row.tolist() == expected
        differences = residuals[-1] - codebooks.centroids[-1, :4]
        np.testing.assert_allclose(distance[:4], (differences**2).sum(1), rtol=1e-4, atol=1e-5)
        assert np.isinf(distance[4:]).all()


def test_sizes():
    codebooks = random_codebooks(np.random.default_rng(0))
    assert (codebooks.num_levels, codebooks.codebook_size, codebooks.dim) == (3, 6, 4)
    assert codebooks.num_codes == (5, 3, 4)
    assert (codebooks.centroids[1, 3:] == 0).all()


def test_files_that_do_not_fit_are_refused(tmp_path):
    codebooks = random_codebooks(np.random.default_rng(0))
    tensors = {"centroids": codebooks.centroids}
    again = ResidualCodebooks.of_file(tensors, codebooks.sizes, tmp_path)
    np.testing.assert_array_equal(again.centroids, codebooks.centroids)
    assert again.num_codes == codebooks.num_codes
    for change in ({"dim": 5}, {"num_codes": [5, 3]}, {"num_codes": [5, 3, 7]}, {"num_codes": 3}):
        with pytest.raises(ValueError, match="do not fit one another: tokenize"):
            ResidualCodebooks.of_file(tensors, codebooks.sizes | change, tmp_path)
    with pytest.raises(ValueError, match="do not fit one another"):
        ResidualCodebooks.of_file({}, codebooks.sizes, tmp_path)


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    codebooks = random_codebooks(random)
    vectors = random.standard_normal((50, 4)).astype(np.float32)
    codes = codebooks.encode(vectors)
    means = cluster_means(vectors, codes[:, 0], codebooks.centroids[0])
    monkeypatch.setattr(residual_codebooks, "BLOCK_ELEMENTS", 20)
    np.testing.assert_array_equal(codebooks.encode(vectors), codes)
    np.testing.assert_allclose(cluster_means(vectors, codes[:, 0], codebooks.centroids[0]), means)
    rest = vectors.copy()
    subtract(rest, codebooks.centroids[0], codes[:, 0])
    np.testing.assert_array_equal(rest, vectors - codebooks.centroids[0][codes[:, 0]])


def test_blocks_cover_all_rows(monkeypatch):
    monkeypatch.setattr(residual_codebooks, "BLOCK_ELEMENTS", 10)
    assert list(blocks(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(blocks(2, 99)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks(0, 3)) == []


def test_distances_are_never_below_zero_and_ties_go_to_the_lower_code():
    vectors = np.full((3, 8), 1e3 / 3, np.float32)
    assert squared_distances(vectors, vectors).min() >= 0
    assert nearest(vectors, vectors).tolist() == [0, 0, 0]


def test_means_golden():
    vectors = np.array([[1, 0], [3, 0], [5, 5]], np.float32)
    start = np.full((3, 2), 7, np.float32)
    means = cluster_means(vectors, np.array([0, 0, 2], np.int32), start)
    assert means.tolist() == [[2, 0], [7, 7], [5, 5]]


def test_the_mean_of_equal_vectors_is_exact():
    vector = np.random.default_rng(0).standard_normal((1, 16)).astype(np.float32)
    for count in (3, 7, 1001):
        same = np.repeat(vector, count, 0)
        means = cluster_means(same, np.zeros(count, np.int32), vector)
        np.testing.assert_array_equal(means, vector)


def test_kmeans_finds_planted_clusters():
    random = np.random.default_rng(0)
    centers = 10 * random.standard_normal((4, 3))
    planted = random.integers(0, 4, 400)
    vectors = (centers[planted] + 0.1 * random.standard_normal((400, 3))).astype(np.float32)
    # 16 codes for 4 clusters: whatever the start, none of them holds items of two clusters.
    codes = nearest(vectors, kmeans(vectors, 16, 25, 400, random))
    assert all(len(set(planted[codes == code].tolist())) == 1 for code in set(codes.tolist()))


def test_few_distinct_vectors_are_the_centroids():
    vectors = np.array([[2, 0], [1, 0], [2, 0], [1, 5]], np.float32)
    centroids = kmeans(vectors, 3, 25, 100, np.random.default_rng(0))
    assert centroids.tolist() == [[1, 0], [1, 5], [2, 0]]


def test_kmeans_looks_at_a_sample_and_says_nothing(capfd):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((500, 2)).astype(np.float32)
    vectors[250:] += 1000
    centroids = kmeans(vectors, 4, 5, 8, np.random.default_rng(0))
    assert centroids.shape == (4, 2)
    everything = kmeans(vectors, 4, 5, 500, np.random.default_rng(0))
    assert not np.allclose(np.sort(centroids, 0), np.sort(everything, 0))
    assert capfd.readouterr() == ("", "")
