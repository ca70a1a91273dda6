"""Each warning where it belongs, with its figure and a setting that mends it, and nowhere else."""

import numpy as np
import pytest

from beamwise.tokenization.quality import measure_quality
from beamwise.tokenization.quality_warnings import MadeBy


def planted(num_items=512, num_levels=3, size=8, dim=16, seed=0):
    """Codes of 8 x 8 x 8 and the vectors that they were made from: nothing to warn of."""
    rng = np.random.default_rng(seed)
    codes = np.stack(np.unravel_index(np.arange(num_items), (size,) * num_levels), axis=1)
    centres = [rng.standard_normal((size, dim)) * 4.0**-level for level in range(num_levels)]
    vectors = sum(centre[codes[:, level]] for level, centre in enumerate(centres))
    return codes.astype(np.int32), np.asarray(vectors, dtype=np.float32)


def warned(codes, vectors=None, codebook_size=8, **settings):
    quality = measure_quality(np.asarray(codes, np.int32), vectors, codebook_size, **settings)
    return [(warning.what, warning.remedy) for warning in quality.warnings]


def only_warning(*args, **settings):
    (found,) = warned(*args, **settings)
    return found


def test_good_codes_have_none():
    codes, vectors = planted()
    assert warned(codes, vectors) == []
    assert warned(codes) == []


def test_few_codes():
    codes, _ = planted()
    codes[:, 1] = np.where(np.arange(512) < 500, 0, codes[:, 1])  # perplexity 1.1 of 8
    found = dict(warned(codes))
    (what,) = (what for what in found if what.startswith("few codes"))
    assert "level 2 (perplexity 1." in what
    assert " of 8, 97.7% of the items on one code)" in what
    for setting in ("quantizer.epochs", "rq-kmeans", "quantizer.balanced=true"):
        assert setting in found[what]
    assert "codebook_size" not in found[what]  # 64 items a code are enough


def test_small_catalogs_are_told_to_lower_the_codebook():
    codes = np.zeros((100, 3), dtype=np.int32)
    codes[:, 0], codes[:, 2] = np.arange(100) % 20, np.arange(100) // 20
    what, remedy = only_warning(codes, codebook_size=20)
    assert what.startswith("few codes do the work at level 2 (perplexity 1.0 of 20, 100.0%")
    assert "lower quantizer.codebook_size from 20: 5.0 items a code" in remedy


def test_one_code_with_a_large_share():  # perplexity is high, but a third has code 0
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 64, (3000, 3)).astype(np.int32)
    codes[:1000, 0] = 0
    what, _ = only_warning(codes, codebook_size=64)
    assert "level 1 (perplexity" in what
    assert "34." in what


def test_a_level_after_all_is_decided_may_have_one_code():
    codes, vectors = planted()
    safe = np.concatenate([codes, np.zeros((512, 1), np.int32)], axis=1)
    assert warned(safe, vectors) == []


def test_two_codes_may_be_used_evenly():
    codes = np.stack(np.unravel_index(np.arange(256), (2,) * 8), axis=1)
    assert warned(codes, codebook_size=2) == []


@pytest.mark.parametrize(("repeated", "is_warned"), [(51, False), (52, True)])
def test_many_collisions(repeated, is_warned):  # 10 % of 512 items are 51.2
    codes, _ = planted()
    codes[:repeated] = codes[-1]
    found = [(what, remedy) for what, remedy in warned(codes) if "ID of an earlier" in what]
    assert bool(found) == is_warned
    if is_warned:
        assert "52 of 512 items (10.2%)" in found[0][0]
        assert "up to 53 on one ID" in found[0][0]
        for setting in ("num_levels", "codebook_size", "collisions=reassign", "collisions=suffix"):
            assert setting in found[0][1]


def with_suffix():
    """612 items on 512 IDs, of which 100 have a second item; the suffix is 0 or 1."""
    codes, _ = planted()
    suffixed = np.concatenate([codes, np.zeros((512, 1), np.int32)], axis=1)
    again = suffixed[:100].copy()
    again[:, 3] = 1
    return np.concatenate([suffixed, again])


def test_items_that_only_the_suffix_tells_apart():
    what, remedy = only_warning(with_suffix(), num_meaningful_levels=3)
    assert what.startswith("100 of 612 items (16.3%) are told apart only by the suffix")
    assert "collisions=reassign" in remedy
    assert "suffix" not in remedy


def test_a_suffix_is_not_judged():  # its perplexity is 1.6 of 8
    judged_as_level = [what for what, _ in warned(with_suffix())]
    assert any("level 4 (perplexity 1.6 of 8" in what for what in judged_as_level)
    judged_as_suffix = [what for what, _ in warned(with_suffix(), num_meaningful_levels=3)]
    assert not any("level 4" in what for what in judged_as_suffix)


def test_a_level_that_adds_nothing():
    codes, vectors = planted()
    doubled = codes[:, [0, 0, 1, 2]]
    what, remedy = only_warning(doubled, vectors)
    assert what == "level 2 adds hardly anything: 0 new prefixes, 0.0% less of the variance left"
    assert "quantizer.num_levels from 4" in remedy
    assert only_warning(doubled)[0] == "level 2 adds hardly anything: 0 new prefixes"


def test_decided_early():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 100, (500, 4)).astype(np.int32)
    what, remedy = only_warning(codes, codebook_size=100)
    assert what.startswith("the first 2 codes already tell 4")
    assert "before the other 2 levels are scored" in what
    assert "quantizer.num_levels to 3" in remedy
    assert "quantizer.codebook_size" in remedy
    assert warned(codes[:, :3], codebook_size=100) == []  # one level of margin


@pytest.mark.parametrize(
    ("num_items", "levels", "lowered"), [(10, 4, 2), (40, 4, 8), (200, 2, 32), (5, 2, 4)]
)
def test_codebook_larger_than_the_catalog(num_items, levels, lowered):
    codes = np.tile(np.arange(num_items, dtype=np.int32)[:, None], (1, levels))
    what, remedy = only_warning(codes, codebook_size=256)
    assert what.startswith(f"a codebook of 256 is larger than the catalog of {num_items} items")
    assert remedy == f"lower quantizer.codebook_size to {lowered}"
    assert lowered**levels >= num_items


def test_one_level_needs_a_code_an_item():
    assert warned(np.arange(40)[:, None], codebook_size=64) == []


def test_neighbours_that_do_not_share():
    codes, vectors = planted()
    dealt = codes[np.random.default_rng(0).permutation(512)]
    what, remedy = only_warning(dealt, vectors)
    assert what.startswith("similar items do not share codes: 1")
    assert "12.33% of random pairs do (lift 1." in what  # 63 / 511
    assert "same order" in remedy


def test_two_codes_cannot_have_a_large_lift():  # at most 2; here about 1.4
    vectors = np.random.default_rng(0).standard_normal((400, 3)).astype(np.float32)
    codes = (vectors > 0).astype(np.int32)
    codes[::5] = 1 - codes[::5]
    near = measure_quality(codes, vectors, 2).neighbourhood
    assert near is not None
    assert near.lengths[0].lift is not None
    assert near.lengths[0].lift < 1.5
    assert not any("similar items" in what for what, _ in warned(codes, vectors, codebook_size=2))


def test_neighbourhoods_as_large_as_the_catalog_are_not_judged():
    vectors = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    codes = np.stack(np.unravel_index(np.arange(20), (5, 4)), axis=1)
    assert warned(codes, vectors, codebook_size=5) == []


def test_zero_vectors():
    codes, vectors = planted()
    vectors[:3] = 0
    what, remedy = only_warning(codes, vectors)
    assert what.startswith("3 of 512 items (0.6%) have a zero vector")
    assert "embedding.columns" in remedy


def test_repeated_vectors():
    codes, vectors = planted()
    vectors[1:26] = vectors[0]
    assert warned(codes, vectors) == []  # 25 are 4.9 %
    vectors[26] = vectors[0]
    what, remedy = only_warning(codes, vectors)
    assert what.startswith("26 of 512 items (5.1%) have the vector of an earlier item")
    assert "embedding.columns" in remedy


REASSIGNED = MadeBy("rq-kmeans", "reassign", embedding="tfidf-svd")


def collided():
    codes, _ = planted()
    codes[:52] = codes[-1]
    return codes


@pytest.mark.parametrize(
    ("made_by", "remedy"),
    [
        (REASSIGNED, ", or use collisions=suffix"),
        (MadeBy("rq-kmeans", "suffix"), ", or use collisions=reassign"),
        (MadeBy("rq-vae", "share"), ", or use collisions=reassign or collisions=suffix"),
    ],
)
def test_no_collision_rule_that_is_taken_already(made_by, remedy):
    remedies = dict(warned(collided(), made_by=made_by))
    (found,) = (remedies[what] for what in remedies if "ID of an earlier" in what)
    assert found == f"raise quantizer.num_levels from 3 or quantizer.codebook_size from 8{remedy}"


def test_settings_are_no_remedy_of_published_codes():
    codes, vectors = planted()
    uneven = codes.copy()
    uneven[:, 1] = np.where(np.arange(512) < 500, 0, codes[:, 1])
    early = np.random.default_rng(0).integers(0, 100, (500, 4))
    dealt = codes[np.random.default_rng(0).permutation(512)]
    for codes_of_others, vectors_of_theirs, size in (
        (collided(), None, 8), (uneven, None, 8), (codes[:, [0, 0, 1, 2]], None, 8),
        (early, None, 100), (dealt, vectors, 8), (np.tile(np.arange(40)[:, None], 3), None, 256),
    ):  # fmt: skip
        found = warned(codes_of_others, vectors_of_theirs, size, made_by=MadeBy(None))
        assert found
        for _, remedy in found:
            assert "make codes with --method rq-kmeans" in remedy
            assert "collisions=" not in remedy
            assert "num_levels" not in remedy
    vectors[:3] = 0
    what, remedy = only_warning(codes, vectors, made_by=MadeBy(None, embedding="minilm"))
    assert what.endswith("their codes cannot be judged")
    assert remedy == "give them texts (a title, or embedding.columns)"


def test_even_use_is_not_asked_for_twice():
    codes, vectors = planted()
    codes[:, 1] = np.where(np.arange(512) < 500, 0, codes[:, 1])

    def remedy(made_by):
        found = dict(warned(codes, made_by=made_by))
        return next(found[what] for what in found if what.startswith("few codes"))

    assert remedy(REASSIGNED) == "quantizer.balanced=true evens the use"
    assert remedy(MadeBy("rq-vae", balanced=True)).endswith("or take rq-kmeans")
    assert "embedding.columns" in remedy(MadeBy("rq-kmeans", balanced=True))
    dealt = planted()[0][np.random.default_rng(0).permutation(512)]
    fit = {
        REASSIGNED: "else take another embedding.name",
        MadeBy("rq-kmeans", balanced=True): "quantizer.balanced=false",
        MadeBy("rq-vae"): "quantizer.name=rq-kmeans",
    }
    for made_by, expected in fit.items():
        assert expected in only_warning(dealt, vectors, made_by=made_by)[1]


def test_vectors_are_mended_by_what_their_embedding_has():
    codes, vectors = planted()
    vectors[:3] = 0
    for embedding, expected in {
        "file": "in the file of embedding.file",
        "co-occurrence": "embedding.name=tfidf-svd",
        "tfidf-svd": "embedding.name=minilm",
    }.items():
        made_by = MadeBy("rq-kmeans", embedding=embedding)
        assert expected in only_warning(codes, vectors, made_by=made_by)[1]
    vectors = planted()[1]
    vectors[1:40] = vectors[0]
    made_by = MadeBy("rq-kmeans", embedding="file")
    assert "embedding.columns" not in only_warning(codes, vectors, made_by=made_by)[1]


def test_fitted_codebooks_do_not_grow():
    found = warned(collided(), made_by=MadeBy("rq-kmeans", "reassign", is_extended=True))
    assert found
    for _, remedy in found:
        assert remedy.startswith("fitted codebooks cannot grow, so tokenize all items anew and")
