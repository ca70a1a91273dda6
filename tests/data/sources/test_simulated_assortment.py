"""What the simulated shop sells."""

from collections import Counter

import numpy as np
import pytest

from beamwise.data.sources.simulated_assortment import (
    ACCESSORY,
    AISLES,
    CATEGORIES,
    ORDINARY,
    STAPLE,
    draw_assortment,
)


@pytest.fixture(scope="module")
def assortment():
    return draw_assortment(1_120, np.random.default_rng(0))


def test_kinds_and_shelves(assortment):
    kinds = Counter(assortment.kind.tolist())
    assert kinds == {STAPLE: 40, ACCESSORY: 80, ORDINARY: 1_000}
    ordinary = Counter(assortment.aisle[assortment.kind == ORDINARY].tolist())
    assert ordinary == dict.fromkeys(range(40), 25)
    accessories = Counter(assortment.category[assortment.kind == ACCESSORY].tolist())
    assert accessories == dict.fromkeys(range(10), 8)
    for item, aisle in enumerate(assortment.aisle):
        if aisle >= 0:
            category, name = AISLES[aisle]
            assert CATEGORIES[assortment.category[item]] == category
            assert assortment.subcategories[item] == name


def test_first_level_is_the_branch(assortment):
    branch = assortment.codes[:, 0]
    sizes = np.bincount(branch)
    assert len(sizes) == 120
    assert set(sizes[branch[assortment.kind == STAPLE]]) == {1}
    assert set(sizes[branch[assortment.kind == ACCESSORY]]) == {2}
    assert set(sizes[branch[assortment.kind == ORDINARY]]) == {25}


def test_siblings_share_prefixes_and_words(assortment):
    groups: dict[tuple[int, ...], set[str]] = {}
    for codes, title in zip(assortment.codes.tolist(), assortment.titles, strict=True):
        brand, _, noun = title.split(" ", 2)
        groups.setdefault(tuple(codes[:2]), set()).add(noun)
        groups.setdefault(tuple(codes[:3]), set()).add(f"{brand} {noun}")
    assert max(len(found) for found in groups.values()) == 1


def test_a_few_items_collide_with_a_sibling(assortment):
    distinct = {tuple(codes) for codes in assortment.codes.tolist()}
    assert 0 < 1_120 - len(distinct) < 0.03 * 1_120


@pytest.mark.parametrize("num_items", [200, 1_120, 20_000])
def test_titles_are_unique_and_share_words(num_items):
    titles = draw_assortment(num_items, np.random.default_rng(1)).titles
    assert len(set(titles)) == len(titles) == num_items
    words = Counter(word for title in titles for word in set(title.split()))
    assert np.mean([max(words[w] for w in title.split()) for title in titles]) > 0.02 * num_items
