"""Amazon: golden data sets in the layouts of each year, and one line for what is wrong."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.config import parse_config
from beamwise.data.sources import AmazonConfig, read_source


def review_2014(user, item, time):
    return {
        "reviewerID": user,
        "asin": item,
        "reviewerName": 'J. "Mac" D.',
        "helpful": [2, 3],
        "reviewText": 'Sturdy.\nIt says {"asin": "B9"} on the box',
        "overall": 5.0,
        "summary": "Sturdy",
        "unixReviewTime": time,
        "reviewTime": "09 13, 2009",
    }


def review_2018(user, item, time):
    return {
        "overall": 4.0,
        "vote": "2",
        "verified": True,
        "reviewTime": "11 4, 2015",
        "reviewerID": user,
        "asin": item,
        "style": {"Color:": " Black"},
        "reviewerName": "J.",
        "reviewText": "Fits.",
        "summary": "Fits",
        "unixReviewTime": time,
    }


def review_2023(user, item, time):
    return {
        "rating": 5.0,
        "title": "Fine",
        "text": "Fine.",
        "images": [],
        "asin": f"{item}-black",
        "parent_asin": item,
        "user_id": user,
        "timestamp": time * 1000 + 7,
        "helpful_vote": 0,
        "verified_purchase": True,
    }


# u and v took A and B twice over; w took C once and falls out of the 2-core, and C with it.
ROWS = [("u", "B", 20), ("u", "A", 20), ("w", "C", 5), ("v", "A", 9), ("v", "B", 3)]
TABLE = [("u", "B", 20), ("u", "A", 20), ("v", "B", 3), ("v", "A", 9)]  # a tie keeps its order
META_2014 = """\
{'asin': 'A', 'title': "Men's \\"Pro\\" Desk", 'price': 9.5, 'salesRank': {'Office': 3}, \
'related': {'also_bought': ['B']}, 'brand': 'Norvik', 'description': 'Oak &amp; steel.', \
'categories': [['Office', 'Desks'], ['Office', 'Furniture']]}
{'asin': 'Z', 'title': 'Nobody took it'}
{'asin': 'B', 'imUrl': 'http://example.org/b.jpg', 'categories': [['Office', 'Pens']]}
"""


def write(path, records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_reviews(path, review, rows=ROWS):
    return write(path, [review(*row) for row in rows])


def read(reviews, **settings):
    return read_source(AmazonConfig(reviews=reviews, **{"min_interactions": 2, **settings}))


def test_2014_golden(tmp_path):
    reviews = write_reviews(tmp_path / "reviews_Office_Products_5.json.gz", review_2014)
    metadata = tmp_path / "meta_Office_Products.json.gz"
    metadata.write_bytes(gzip.compress(META_2014.encode()))
    dataset = read(reviews, metadata=metadata)
    assert dataset.interactions.table.rows() == TABLE
    assert dataset.items.columns == ["item_id", "title", "description", "brand", "categories"]
    assert dataset.items.rows() == [
        ("B", None, None, None, "Office, Pens"),
        ("A", 'Men\'s "Pro" Desk', "Oak & steel.", "Norvik", "Office, Desks, Furniture"),
    ]


def test_2014_metadata_as_strict_json(tmp_path):
    reviews = write_reviews(tmp_path / "reviews.json", review_2014)
    metadata = write(tmp_path / "meta.json", [{"asin": "A", "title": "Desk"}])
    items = read(reviews, metadata=metadata).items
    assert items["title"].to_list() == [None, "Desk"]
    assert items["title"].null_count() == 1  # the metadata lack B


def test_2018_golden(tmp_path):
    reviews = write_reviews(tmp_path / "Office_Products_5.json.gz", review_2018)
    metadata = write(
        tmp_path / "meta_Office_Products.json.gz",
        [
            {
                "category": ["Office", "Pens"],
                "tech1": "",
                "description": ["Blue.", "", "Writes &gt; 2 km."],
                "title": "Pen",
                "also_buy": ["A"],
                "brand": "Norvik",
                "feature": ["Blue"],
                "rank": [">#3 in Office"],
                "asin": "B",
            },
            {"category": [], "description": [], "title": "Desk", "brand": "", "asin": "A"},
            {"category": [], "description": [], "title": "Desk again", "brand": "", "asin": "A"},
        ],
    )
    dataset = read(reviews, metadata=metadata)
    assert dataset.interactions.table.rows() == TABLE
    assert dataset.items.rows() == [
        ("B", "Pen", "Blue. Writes > 2 km.", "Norvik", "Office, Pens"),
        ("A", "Desk", None, None, None),
    ]


META_2023 = [
    {
        "main_category": "Office Products",
        "title": "Pen",
        "features": ["Blue", "Fine"],
        "description": ["Writes."],
        "price": 1.5,
        "store": "Norvik",
        "categories": ["Office", "Pens"],
        "details": {"Brand": "N"},
        "parent_asin": "B",
        "bought_together": None,
    },
    {"title": "Desk", "features": ["Oak", "Steel"], "description": [], "parent_asin": "A"},
]


def test_2023_golden(tmp_path):
    reviews = write_reviews(tmp_path / "Office_Products.jsonl.gz", review_2023)
    metadata = write(tmp_path / "meta_Office_Products.jsonl.gz", META_2023)
    dataset = read(reviews, metadata=metadata)
    in_ms = [(user, item, time * 1000 + 7) for user, item, time in TABLE]
    assert dataset.interactions.table.rows() == in_ms
    assert dataset.items.rows() == [
        ("B", "Pen", "Writes.", "Norvik", "Office, Pens"),
        ("A", "Desk", "Oak Steel", None, None),
    ]


@pytest.mark.parametrize("name", ["Office_Products.csv", "Office_Products.csv.gz"])
def test_2023_ratings_only(tmp_path, name):
    header = "user_id,parent_asin,rating,timestamp"
    rows = [header, *(f"{user},{item},4.0,{time}" for user, item, time in ROWS), ""]
    content = "\n".join(rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    metadata = write(tmp_path / "meta.jsonl", META_2023)
    dataset = read(tmp_path / name, metadata=metadata)
    assert dataset.interactions.table.rows() == TABLE
    assert dataset.items["title"].to_list() == ["Pen", "Desk"]


def test_without_metadata_titles_are_unknown(tmp_path):
    reviews = write_reviews(tmp_path / "reviews.json", review_2014)
    assert read(reviews).items.rows() == [("B", None), ("A", None)]


def test_nothing_is_filtered_at_0(tmp_path):
    reviews = write_reviews(tmp_path / "reviews.json", review_2014)
    assert read(reviews, min_interactions=0).items["item_id"].to_list() == ["B", "A", "C"]


@pytest.mark.parametrize(("rule", "expected"), [("drop", 3), ("keep", 4), ("first", 2)])
def test_duplicates(tmp_path, rule, expected):
    rows = [("u", "A", 1), ("u", "A", 1), ("u", "A", 2), ("u", "B", 3)]
    reviews = write_reviews(tmp_path / "reviews.json", review_2014, rows)
    dataset = read(reviews, min_interactions=0, duplicates=rule)
    assert len(dataset.interactions) == expected


def test_the_layout_may_be_a_number_in_yaml(tmp_path):
    config = parse_config(AmazonConfig, {"reviews": "r.json", "layout": 2014}, "settings")
    assert config.layout == "2014"
    with pytest.raises(ValueError, match="layout"):
        parse_config(AmazonConfig, {"reviews": "r.json", "layout": 2016}, "settings")


BARE = {"reviewerID": "u", "asin": "A", "unixReviewTime": 1}


def test_a_layout_that_the_fields_do_not_tell(tmp_path):
    reviews = write(tmp_path / "reviews.json", [BARE])
    with pytest.raises(ValueError, match=r"reviews.json does not tell its layout.*'reviewerID', "):
        read(reviews)
    assert len(read(reviews, layout="2014", min_interactions=0).interactions) == 1
    with pytest.raises(ValueError, match=r"has no field 'user_id' in its first review, but 'rev"):
        read(reviews, layout="2023")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{**review_2014("u", "A", 1), "asin": None}], "row 2, column 'asin': null is not an id"),
        ([{"helpful": []}], "row 2, column 'reviewerID': null is not an id"),
        ([review_2014("u", "", 1)], "row 2, column 'asin': '' is not an id"),
        ([review_2014("u", ["A"], 1)], r"row 2, column 'asin': \['A'\] is not a text"),
        (
            [review_2014("u", "A", "yesterday")],
            "row 2, column 'unixReviewTime': 'yesterday' is not a whole number",
        ),
        ([[1]], "has no JSON object in row 2"),
    ],
)
def test_a_bad_review_gets_one_line(tmp_path, lines, message):
    reviews = write(tmp_path / "reviews.json", [review_2014("u", "A", 1), *lines])
    with pytest.raises(ValueError, match=f"reviews.json,? {message}") as caught:
        read(reviews)
    assert "\n" not in str(caught.value)


def test_bad_files(tmp_path):
    reviews = write_reviews(tmp_path / "reviews.json", review_2014)
    with pytest.raises(ValueError, match=r"has 5 .* of 3 users with 3 .*in their 9-core"):
        read(reviews, min_interactions=9)
    with pytest.raises(ValueError, match=r"no file at .*absent.json"):
        read(tmp_path / "absent.json")
    with pytest.raises(ValueError, match=r"no file at .*absent.json"):
        read(reviews, metadata=tmp_path / "absent.json")
    (tmp_path / "empty.json").touch()
    with pytest.raises(ValueError, match=r"empty.json is empty"):
        read(tmp_path / "empty.json")
    with pytest.raises(ValueError, match=r"empty.json is empty"):
        read(reviews, metadata=tmp_path / "empty.json")
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(reviews.read_bytes())[:-12])
    with pytest.raises(ValueError, match=r"cut.json.gz is cut short"):
        read(cut)


@given(
    at=st.integers(0, 2000), cut=st.integers(0, 40), put=st.binary(max_size=6), packed=st.booleans()
)
def test_mutated_files_give_a_dataset_or_one_line(tmp_path_factory, at, cut, put, packed):
    folder = tmp_path_factory.mktemp("amazon")
    reviews = write_reviews(folder / ("r.json.gz" if packed else "r.json"), review_2014)
    metadata = folder / "meta.json"
    metadata.write_text(META_2014)
    for path in (reviews, metadata):
        content = path.read_bytes()
        at %= len(content)
        path.write_bytes(content[:at] + put + content[at + cut :])
        message = "one line"
        try:
            read(reviews, metadata=metadata)
        except ValueError as error:
            message = str(error)
        assert "\n" not in message
        path.write_bytes(content)


NO_HEADER = {
    "2014": "".join(f"{user},{item},4.0,{time}\n" for user, item, time in ROWS),
    "2018": "".join(f"{item},{user},4.0,{time}\n" for user, item, time in ROWS),
}


@pytest.mark.parametrize("layout", NO_HEADER)
@pytest.mark.parametrize("name", ["ratings_Beauty.csv", "Beauty.csv.gz"])
def test_ratings_without_header(tmp_path, layout, name):
    content = NO_HEADER[layout].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    metadata = write(tmp_path / "meta.json", [{"asin": "A", "title": "Desk"}])
    dataset = read(tmp_path / name, layout=layout, metadata=metadata)
    assert dataset.interactions.table.rows() == TABLE
    assert dataset.items["title"].to_list() == [None, "Desk"]
    assert dataset.notes == {"rows_read": 5, "duplicates_dropped": 0, "dropped_outside_core": 1}


def test_ratings_of_no_known_layout(tmp_path):
    path = tmp_path / "Beauty.csv"
    path.write_text(NO_HEADER["2018"])
    message = (
        r"Beauty.csv has no header and so does not tell its layout: set the year of the file, "
        r"as in --set layout=2018 \(user_id,item_id,rating,timestamp in 2014 and "
        r"item_id,user_id,rating,timestamp in 2018\)"
    )
    with pytest.raises(ValueError, match=message):
        read(path)
    with pytest.raises(ValueError, match="has no header, and layout 2023 has one: set layout to"):
        read(path, layout="2023")
    path.write_text("user_id,parent_asin,rating,timestamp\nu,A,5.0,1\n")
    with pytest.raises(ValueError, match="has the header of layout 2023: leave layout out"):
        read(path, layout="2018")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("u,A,6.0,1", "row 2, column 'rating': '6.0' is not a number from 1 to 5"),
        ("u,A,0,1", "row 2, column 'rating': '0' is not a number from 1 to 5"),
        ("u,A,nan,1", "row 2, column 'rating': 'nan' is not a number from 1 to 5"),
        ("u,A,1347,5.0", "row 2, column 'rating': '1347' is not a number from 1 to 5"),
        ("u,A,5.0,then", "row 2, column 'timestamp': 'then' is not a whole number"),
        (",A,5.0,1", "row 2, column 'user_id': '' is not an id"),
        ("u,A,5.0", "has 3 fields in row 2 and not 4"),
    ],
)
def test_a_bad_rating_gets_one_line(tmp_path, row, message):
    (tmp_path / "r.csv").write_text(f"u,A,5.0,1\n{row}\n")
    with pytest.raises(ValueError, match=f"r.csv,? {message}"):
        read(tmp_path / "r.csv", layout="2014")


def test_users_in_the_place_of_items(tmp_path):
    (tmp_path / "r.csv").write_text("0000013714,ACNGUPJ3A3TM9,4.0,1386028800\n")
    with pytest.raises(ValueError, match="has items where the layout has users: set layout to"):
        read(tmp_path / "r.csv", layout="2014")
    assert read(tmp_path / "r.csv", layout="2018", min_interactions=0).interactions.num_users == 1


@pytest.mark.parametrize(
    ("review", "record", "message"),
    [
        (review_2018, META_2023[0], "2018: it has no 'asin' .* 2023, which has 'parent_as"),
        (review_2023, {"asin": "A", "category": []}, "2023: it has no 'parent_asin' .*like 2018"),
        (review_2023, {"asin": "A", "categories": []}, "2023: it has no 'parent_asin' .*like 2014"),
        (review_2014, {"asin": "A", "category": []}, "2014: it has no 'categories' .*like 2018"),
        (review_2018, {"asin": "A", "categories": []}, "2018: it has no 'category' .*like 2014"),
    ],
)
def test_metadata_of_another_year(tmp_path, review, record, message):
    reviews = write_reviews(tmp_path / "reviews.json", review)
    metadata = write(tmp_path / "meta.json", [record])
    with pytest.raises(ValueError, match=f"meta.json is not of layout {message}"):
        read(reviews, metadata=metadata)
