"""Yelp: a golden data set in the real layout, dates, and one line for what is wrong."""

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.config import parse_config
from beamwise.data.sources import YelpConfig, read_source


def review(user, business, date):
    return {
        "review_id": f"{user}{business}",
        "user_id": user,
        "business_id": business,
        "stars": 3.0,
        "useful": 0,
        "funny": 0,
        "cool": 0,
        "text": 'Decent.\nSee "business_id": "Z".',
        "date": date,
    }


def microseconds(date):
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 1_000_000


REVIEWS = [
    review("u", "B", "2019-12-31 22:09:11"),
    review("u", "A", "2018-07-07 22:09:11"),
    review("w", "C", "2019-01-01 00:00:00"),  # alone: falls out of the 2-core
    review("v", "B", "2019-01-01 00:00:00"),
    review("v", "A", "2019-01-01 00:00:00"),
]
BUSINESSES = [
    {
        "business_id": "A",
        "name": "Joe&#39;s",
        "address": "1 Main St",
        "city": "Tucson",
        "state": "AZ",
        "postal_code": "85711",
        "latitude": 32.2,
        "longitude": -110.9,
        "stars": 3.5,
        "review_count": 22,
        "is_open": 0,
        "attributes": {"BusinessAcceptsCreditCards": "True"},
        "categories": "Bakeries, Food",
        "hours": None,
    },
    {"business_id": "Z", "name": "Nobody went", "categories": None},
    {"business_id": "B", "name": "Bar", "city": "", "attributes": None, "categories": None},
]


def write(path, records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "yelp_academic_dataset_review.json", REVIEWS)
    write(tmp_path / "yelp_academic_dataset_business.json", BUSINESSES)
    return tmp_path


def read(folder, **settings):
    return read_source(YelpConfig(folder=folder, **{"min_interactions": 2, **settings}))


def test_golden(folder):
    dataset = read(folder)
    assert dataset.interactions.table.rows() == [
        ("u", "A", microseconds("2018-07-07 22:09:11")),
        ("u", "B", microseconds("2019-12-31 22:09:11")),
        ("v", "B", microseconds("2019-01-01")),  # a tie keeps its order
        ("v", "A", microseconds("2019-01-01")),
    ]
    assert dataset.items.columns == ["item_id", "title", "categories", "city", "state"]
    assert dataset.items.rows() == [
        ("B", "Bar", None, None, None),
        ("A", "Joe's", "Bakeries, Food", "Tucson", "AZ"),
    ]


def test_short_names_gzip_and_categories_in_a_list(tmp_path):
    write(tmp_path / "review.json.gz", REVIEWS)
    write(tmp_path / "business.json", [{"business_id": "A", "categories": ["Bakeries", "Food"]}])
    assert read(tmp_path).items["categories"].to_list() == [None, "Bakeries, Food"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"first_date": "2019-01-01"}, {"B", "C", "A"}),
        ({"first_date": "2019-01-02"}, {"B"}),
        ({"last_date": "2018-12-31"}, {"A"}),
        ({"first_date": "2018-07-07", "last_date": "2018-07-07"}, {"A"}),
        ({"last_date": "2019-12-31"}, {"A", "B", "C"}),
    ],
)
def test_days_are_kept_before_the_k_core(folder, settings, expected):
    dataset = read(folder, min_interactions=0, **settings)
    assert set(dataset.items["item_id"]) == expected


def test_days_from_text_and_in_order(folder):
    settings = {"folder": str(folder), "first_date": "2019-01-01", "last_date": "2018-01-01"}
    with pytest.raises(ValueError, match="first_date 2019-01-01 is after last_date 2018-01-01"):
        parse_config(YelpConfig, settings, "settings")
    with pytest.raises(ValueError, match=r"review.json has no review from 2021-01-01 to the last"):
        read(folder, first_date="2021-01-01")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (review("u", "A", "07/07/2018"), "row 6, column 'date': '07/07/2018' is not an ISO date"),
        (review("", "A", "2018-07-07"), "row 6, column 'user_id': '' is not an id"),
        ({"user_id": "u"}, "row 6, column 'business_id': null is not an id"),
    ],
)
def test_a_bad_review_gets_one_line(folder, record, message):
    write(folder / "yelp_academic_dataset_review.json", [*REVIEWS, record])
    with pytest.raises(ValueError, match=f"review.json, {message}") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_bad_folders(folder, tmp_path_factory):
    with pytest.raises(ValueError, match=r"no such folder: .*absent; give"):
        read(folder / "absent")
    with pytest.raises(ValueError, match=r"business.json is a file: give the folder"):
        read(folder / "yelp_academic_dataset_business.json")
    with pytest.raises(ValueError, match=r"holds no yelp_academic_dataset_review.json"):
        read(tmp_path_factory.mktemp("empty"))
    with pytest.raises(
        ValueError, match=r"review.json has 5 .* none is left in their 3-core: lower min_"
    ):
        read(folder, min_interactions=3)
    write(folder / "business.json.gz", BUSINESSES)
    with pytest.raises(ValueError, match=r"several files .*business.json, business.json.gz.*keep"):
        read(folder)
    (folder / "business.json.gz").unlink()
    write(folder / "yelp_academic_dataset_business.json", BUSINESSES[1:2])
    with pytest.raises(ValueError, match=r"business.json has none of the 2 items"):
        read(folder)


@given(at=st.integers(0, 700), cut=st.integers(0, 30), put=st.binary(max_size=6))
def test_mutated_reviews_give_a_dataset_or_one_line(tmp_path_factory, at, cut, put):
    folder = tmp_path_factory.mktemp("yelp")
    write(folder / "business.json", BUSINESSES)
    content = "".join(json.dumps(record) + "\n" for record in REVIEWS).encode()
    (folder / "review.json").write_bytes(content[:at] + put + content[at + cut :])
    message = "one line"
    try:
        read(folder)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


def test_what_was_dropped_is_counted(folder):
    write(folder / "yelp_academic_dataset_review.json", [*REVIEWS, REVIEWS[3]])
    assert read(folder).notes == {
        "rows_read": 6, "duplicates_dropped": 1, "dropped_outside_dates": 0,
        "dropped_outside_core": 1,
    }  # fmt: skip
    only_2019 = read(folder, first_date="2019-01-01", min_interactions=0).notes
    assert (only_2019["dropped_outside_dates"], only_2019["dropped_outside_core"]) == (1, 0)
