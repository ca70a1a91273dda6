"""The JSON triple: golden, published counts, and one line for everything that can be wrong."""

import json

import pytest

from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.data.user_sequences import are_positions

INTER = {"u": [2, 0], "v": ["1"]}
INDEX = {
    "0": ["<a_5>", "<b_0>"],
    "1": ["<a_5>", "<b_1>"],
    "2": ["<a_7>", "<b_0>"],
    "3": ["<a_0>", "<b_0>"],
}
TEXTS = {
    "0": {"title": "Pens &amp; 14&quot; ink", "brand": "Norvik", "categories": "Office"},
    "1": {"title": "  ", "description": "two\nlines"},
    "2": {"title": "Desk"},
}


@pytest.fixture
def folder(tmp_path):
    for kind, content in (("inter", INTER), ("index.rq", INDEX), ("item", TEXTS)):
        (tmp_path / f"Toy.{kind}.json").write_text(json.dumps(content))
    return tmp_path


def read(folder, **settings):
    return read_source(SemanticIdJsonConfig(folder=folder, **settings))


def test_golden(folder):
    dataset = read(folder)
    assert dataset.interactions.table.rows() == [("u", "2", 0), ("u", "0", 1), ("v", "1", 0)]
    assert dataset.items.rows() == [
        ("0", 'Pens & 14" ink', None, "Norvik", "Office"),
        ("1", None, "two lines", None, None),
        ("2", "Desk", None, None, None),
        ("3", None, None, None, None),  # nobody took item 3 and nothing tells its title
    ]
    assert dataset.semantic_ids["codes"].to_list() == [[5, 0], [5, 1], [7, 0], [0, 0]]


def test_without_texts_titles_are_unknown(folder):
    (folder / "Toy.item.json").unlink()
    assert read(folder).items.rows() == [(item, None) for item in "0123"]


def test_min_interactions_drops_users_items_and_codes(folder):
    (folder / "Toy.inter.json").write_text('{"u": [2, 0], "v": [0, 2], "w": [1]}')
    dataset = read(folder, min_interactions=2)
    assert dataset.interactions.num_users == 2
    assert dataset.items["item_id"].to_list() == ["0", "2"]
    assert dataset.semantic_ids["item_id"].to_list() == ["0", "2"]


def test_places_in_lists_stay_places_when_items_are_dropped(folder):
    # only item 1 has fewer than 2 interactions; it stands first and in the middle
    (folder / "Toy.inter.json").write_text('{"u": [1, 2, 0], "v": [0, 3, 2], "w": [3, 0]}')
    taken = read(folder, min_interactions=2).interactions
    assert taken.table.rows() == [
        ("u", "2", 0), ("u", "0", 1), ("v", "0", 0), ("v", "3", 1), ("v", "2", 2),
        ("w", "3", 0), ("w", "0", 1),
    ]  # fmt: skip
    assert are_positions(taken.timestamps, taken.starts)


@pytest.mark.parametrize(
    ("kind", "content", "named"),
    [
        ("inter", '{"u": ["\\ud800"]}', "'u'"),
        ("inter", '{"u": [0], "\\uDFFF": [0]}', r"'.udfff'"),
        ("index.rq", '{"0": ["<a_0>", "<b_\\udabc>"]}', "'0'"),
        ("item", '{"2": {"title": "Desk", "brand": "\\ud83d"}}', "'2'"),
    ],
)
def test_half_a_surrogate_pair_is_refused(folder, kind, content, named):
    (folder / f"Toy.{kind}.json").write_text(content)
    with pytest.raises(ValueError, match=rf"Toy.{kind}.json: {named} holds half a surr") as caught:
        read(folder)
    assert str(caught.value).isascii()


def test_a_whole_surrogate_pair_is_a_character(folder):
    (folder / "Toy.item.json").write_text('{"2": {"title": "\\ud83d\\ude00"}}')
    assert read(folder).items["title"][2] == "\U0001f600"


def test_index_file_chooses_between_candidates(folder):
    (folder / "Toy.index.other.json").write_text(json.dumps({**INDEX, "0": ["<a_9>", "<b_9>"]}))
    with pytest.raises(ValueError, match=r"Toy.index.other.json.*choose one with index_file"):
        read(folder)
    chosen = read(folder, index_file="Toy.index.other.json")
    assert chosen.semantic_ids["codes"][0].to_list() == [9, 9]
    with pytest.raises(ValueError, match=r"no index_file 'x.json' in .*: there is Toy.index.other"):
        read(folder, index_file="x.json")


@pytest.mark.parametrize(
    ("name", "counts", "distinct"),
    [("office", (4_905, 2_420, 53_258), 2_415), ("beauty", (22_363, 12_101, 198_502), 12_089)],
)
def test_published_counts(data_folder, name, counts, distinct):
    dataset = read(data_folder / name)
    table = dataset.interactions
    assert (table.num_users, table.num_items, len(table)) == counts
    assert dataset.items.height == counts[1]
    assert dataset.semantic_ids["codes"].n_unique() == distinct


def test_published_titles_have_no_entities(data_folder):
    titles = read(data_folder / "office").items["title"]
    assert titles.str.contains("AT&T 210 Corded Phone", literal=True).any()
    assert not titles.str.contains("&amp;|&quot;|&reg;").any()


@pytest.mark.parametrize("kind", ["inter", "index.rq"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is cut short at line 1"),
        ('{"0": [1, 2', "is cut short at line 1"),
        ('{"0": ["<a_', "is cut short at line 1"),
        ("users,items\n1,2", "is not JSON at line 1"),
        ('{"0": [1]} trailing', "is not JSON at line 1"),
        ("[1, 2]", "holds a list: an object of"),
        ("{}", "holds an empty object"),
        ('{"0": [1], "0": [2]}', "has the key '0' twice"),
        ('{"0": 1}', "'0' has 1: a list of"),
        ('{"0": [null]}', "'0' has .*None"),
        ("\udcff", "is not readable as JSON text"),
    ],
)
def test_a_bad_file_gets_one_line(folder, kind, content, message):
    path = folder / f"Toy.{kind}.json"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(ValueError, match=f"Toy.{kind}.json.*{message}") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("inter", {"u": [2], "v": []}, "user 'v' has an empty list: drop the user or add items"),
        ("inter", {"u": [True]}, "user 'u' has item True: give a number or a text"),
        ("inter", {"u": [""]}, "column 'item_id' is empty in row 0"),
        ("inter", {"u": [0], "v": [1, 44]}, "item '44' of user 'v' has no code in Toy.index.rq"),
        ("index.rq", {**INDEX, "1": ["<a_1>"]}, "item '1' has 1 codes, item '0' has 2"),
        ("index.rq", {"0": []}, r"item '0' has \[\]: a list of codes"),
        ("index.rq", {**INDEX, "2": ["a_1", "<b_0>"]}, "item '2' has the code 'a_1'.*<letter_num"),
        ("index.rq", {"0": ["<a_-1>"]}, "the code '<a_-1>'"),
        ("index.rq", {"0": ["<a_12345678>"]}, "at most 6 digits"),
        ("index.rq", {"0": [5]}, "the code 5"),
        ("item", {"0": "a title"}, "item '0' has 'a title': an object with a title is needed"),
    ],
)
def test_bad_content_gets_one_line(folder, kind, content, message):
    (folder / f"Toy.{kind}.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"Toy.{kind}.json: .*{message}") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["inter", "index.rq"])
def test_missing_files(folder, kind):
    (folder / f"Toy.{kind}.json").unlink()
    with pytest.raises(ValueError, match=rf"no \*.{kind[:5]}.*json in .*: add the file"):
        read(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match=r"no such folder: .*absent; give the one with"):
        read(tmp_path / "absent")


@pytest.mark.parametrize("kind", ["inter", "item"])
def test_two_files_of_a_kind(folder, kind):
    (folder / f"Other.{kind}.json").write_text("{}")
    with pytest.raises(ValueError, match=rf"2 files match \*.{kind}.json .*Other.*keep one"):
        read(folder)
