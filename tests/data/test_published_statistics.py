"""Published counts: names of raw files, a match, each difference, the real data."""

import pytest

from beamwise.data.published_statistics import PUBLISHED, data_set_name, published_check
from beamwise.data.sources import (
    AmazonConfig,
    MovieLensConfig,
    SemanticIdJsonConfig,
    YelpConfig,
    read_source,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reviews_Office_Products_5.json.gz", "Office"),
        ("reviews_Office_Products.json.gz", "Office"),
        ("Office_Products_5.json.gz", "Office"),
        ("Office_Products.jsonl.gz", "Office"),
        ("Office_Products.csv", "Office"),
        ("Office.inter.json", "Office"),
        ("reviews_Grocery_and_Gourmet_Food_5.json.gz", "Grocery"),
        ("Beauty", "Beauty"),
        ("reviews_Beauty_5.json", "Beauty"),
        ("yelp", "Yelp"),
        ("yelp_academic_dataset_review.json.gz", "Yelp"),
    ],
)
def test_names_of_raw_files(name, expected):
    assert published_check(name, 1, 1, 1).published.name == expected


@pytest.mark.parametrize(
    "name",
    ["All_Beauty_5.json.gz", "Beauty_and_Personal_Care.jsonl.gz", "ratings.csv", "", ".", "5"],
)
def test_other_data_sets_have_no_check(name):
    assert published_check(name, 1, 1, 1) is None


def test_a_match():
    check = published_check("Beauty", 22_363, 12_101, 198_502)
    assert check.matches
    assert check.differences == ()
    assert check.message.startswith("the same users, items and interactions as Beauty in Table 2")


def test_each_difference_is_told():
    check = published_check("Office", 4_905, 2_421, 53_000)
    assert not check.matches
    assert check.differences == (
        "2,421 items, published 2,420 (+1)",
        "53,000 interactions, published 53,258 (-258)",
    )
    assert "They hold for Amazon reviews of 2014, 5-core" in check.message
    assert "\n" not in check.message


def test_the_densities_are_those_of_a_5_core():
    for row in PUBLISHED.values():  # every user and every item has at least 5 interactions
        assert row.interactions >= 5 * max(row.users, row.items)


def test_the_name_of_a_source(tmp_path):
    reviews = tmp_path / "reviews_Beauty_5.json.gz"
    for layout, name in {"2014": reviews.name, "2018": None, "2023": None}.items():
        assert data_set_name(AmazonConfig(reviews=reviews, layout=layout)) == name
    told = tmp_path / "Office_Products.csv"  # the figures are of 2014
    told.write_text("user_id,parent_asin,rating,timestamp\nu,A,5.0,1\n")
    assert data_set_name(AmazonConfig(reviews=told)) is None
    assert data_set_name(YelpConfig(folder=tmp_path)) == "yelp"
    assert data_set_name(MovieLensConfig(folder=tmp_path)) is None
    assert data_set_name(SemanticIdJsonConfig(folder=tmp_path)) is None
    (tmp_path / "Office.inter.json").touch()
    assert data_set_name(SemanticIdJsonConfig(folder=tmp_path)) == "Office.inter.json"


@pytest.mark.parametrize("folder", ["office", "beauty"])
def test_real_data_have_the_published_counts(data_folder, folder):
    config = SemanticIdJsonConfig(folder=data_folder / folder)
    taken = read_source(config).interactions
    name = data_set_name(config)
    assert name is not None
    assert published_check(name, taken.num_users, taken.num_items, len(taken)).matches
