"""The simulated shop: seeded, skewed, with sequence effects, and a trap for beam search."""

import numpy as np
import pytest

from beamwise.config import ConfigError, parse_config
from beamwise.data.sources import SimulatedShopConfig, read_source
from beamwise.data.sources.simulated_assortment import ACCESSORY, AISLES_PER_CATEGORY
from beamwise.data.sources.simulated_shop import simulate


@pytest.fixture(scope="module")
def dataset():
    return read_source(SimulatedShopConfig())


@pytest.fixture(scope="module")
def simulation():
    return simulate(SimulatedShopConfig(num_users=2_500, seed=3))


def test_counts(dataset):
    per_user = dataset.interactions.table.group_by("user_id").len()["len"]
    assert (dataset.interactions.num_users, dataset.items.height) == (3_000, 1_120)
    assert (per_user.min(), per_user.max()) == (5, 40)
    assert per_user.mean() == pytest.approx(10, rel=0.05)
    assert dataset.items.columns == ["item_id", "title", "category", "subcategory"]


def test_equal_settings_give_equal_data(dataset):
    again = read_source(SimulatedShopConfig())
    assert again.interactions.table.equals(dataset.interactions.table)
    assert again.items.equals(dataset.items)
    assert again.semantic_ids.equals(dataset.semantic_ids)
    other = read_source(SimulatedShopConfig(seed=1))
    assert not other.interactions.table.equals(dataset.interactions.table)


def test_times_ascend_and_nothing_is_bought_twice(dataset):
    table = dataset.interactions.table
    assert table.select("user_id", "item_id").is_duplicated().sum() == 0
    gaps = table["timestamp"].diff().filter(table["user_id"] == table["user_id"].shift())
    assert gaps.min() >= 0
    assert gaps.mean() == pytest.approx(20 * 86_400, rel=0.05)


def test_popularity_is_skewed(dataset):
    counts = dataset.interactions.table["item_id"].value_counts(sort=True)["count"]
    assert counts.head(112).sum() > 0.3 * counts.sum()  # a tenth of the items


def test_semantic_ids_have_four_levels(dataset):
    assert set(dataset.semantic_ids["codes"].list.len()) == {4}


def naive_next_item_probs(shop, taste, bought):
    weights = [np.exp(value) for value in taste]
    probs = []
    for item in range(len(shop.group_of_item)):
        prob = sum(
            w / sum(weights) * row[item] for w, row in zip(weights, shop.by_taste, strict=True)
        )
        if bought:
            prob += shop.by_last_item[shop.group_of_item[bought[-1]], item]
        probs.append(0.0 if item in bought else prob)
    return np.array(probs) / sum(probs)


@pytest.mark.parametrize("bought", [[], [700], [5, 60, 61, 300]])
def test_distribution_equals_a_naive_sum(simulation, bought):
    shop, visits = simulation
    history = np.array([bought + [-1] * (6 - len(bought))])
    probs = shop.next_item_probs(visits.tastes[:1], history)
    np.testing.assert_allclose(probs[0], naive_next_item_probs(shop, visits.tastes[0], bought))


def test_accessories_go_with_the_last_item(simulation):
    shop, visits = simulation
    kind, category = shop.assortment.kind, shop.assortment.category
    before, after = visits.histories[:, :-1], visits.histories[:, 1:]
    pairs = (after >= 0) & (kind[after] == ACCESSORY)
    np.testing.assert_array_equal(category[before[pairs]], category[after[pairs]])
    # A share of 0.15 is planted; what was bought already is taken out of it.
    assert pairs.sum() / (after >= 0).sum() == pytest.approx(0.145, abs=0.01)
    assert (kind[visits.histories[:, 0]] != ACCESSORY).all()


def test_what_goes_with_an_item_depends_on_its_aisle(simulation):
    shop, _ = simulation
    best = shop.by_last_item[:AISLES_PER_CATEGORY].argmax(axis=1)
    assert len(set(best)) > 1


def test_tastes_drift(simulation):
    shop, visits = simulation
    category = np.where(shop.assortment.kind == ACCESSORY, -1, shop.assortment.category)
    category = np.where(visits.histories >= 0, category[visits.histories], -1)

    def agreement(lag):
        first, second = category[:, :-lag], category[:, lag:]
        both = (first >= 0) & (second >= 0)
        return (first == second)[both].mean()

    by_chance = (np.bincount(category[category >= 0]) / (category >= 0).sum()) @ (
        np.bincount(category[category >= 0]) / (category >= 0).sum()
    )
    assert agreement(1) > agreement(12) > 1.1 * by_chance


def lost_share(probs, codes, width):
    """Share of each state's `width` best items that a beam on true prefix masses has lost."""
    lost = []
    for row in probs:
        alive = np.ones(len(row), dtype=bool)
        for level in range(codes.shape[1]):
            prefixes = np.unique(codes[:, : level + 1], axis=0, return_inverse=True)[1].ravel()
            mass = np.bincount(prefixes, weights=row * alive)
            alive &= np.isin(prefixes, np.argsort(-mass, kind="stable")[:width])
        lost.append(1 - alive[np.argsort(-row, kind="stable")[:width]].mean())
    return np.mean(lost)


def test_a_beam_on_the_true_distribution_loses_items(simulation):
    shop, visits = simulation
    probs = shop.next_item_probs(visits.tastes[:100], visits.histories[:100])
    assert 0.25 < lost_share(probs, shop.assortment.codes, 10) < 0.45
    assert 0.10 < lost_share(probs, shop.assortment.codes, 20) < 0.30
    one_level = np.arange(probs.shape[1])[:, None]  # every item is its own first-level prefix
    assert lost_share(probs, one_level, 10) == 0


def test_settings_are_checked():
    with pytest.raises(ConfigError, match=r"num_items: .*200"):
        parse_config(SimulatedShopConfig, {"num_items": 10}, "--set")
    with pytest.raises(ConfigError, match=r"mean_interactions"):
        parse_config(SimulatedShopConfig, {"mean_interactions": 2}, "--set")


def test_one_user_and_few_items():
    dataset = read_source(SimulatedShopConfig(num_users=1, num_items=200))
    assert (dataset.interactions.num_users, dataset.items.height) == (1, 200)
