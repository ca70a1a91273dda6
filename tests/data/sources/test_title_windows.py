"""Windows of titles: golden, published counts, and one line for everything that can be wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.card import data_card
from beamwise.data.dataset import Dataset
from beamwise.data.sources import TitleWindowsConfig, read_source

TITLES = {"3": "Pens &amp; ink ", "1": " Desk", "2": "Lamp", "x": "Lamp", "4": " "}
TRAIN = ['10,"[3, 1, 2]",5', '9,"[1, 2]",5', '10,"[1, 2, ""x""]",7']
VALID = ['9,"[1, 2, 3]",8']
TEST = ['10,"[""x"", 1, 3]",9']


def write(folder, name, rows, header="user_id,item_ids,timestamp"):
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def folder(tmp_path):
    for name, rows in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        write(tmp_path, f"{name}.csv", rows)
    (tmp_path / "items.json").write_text(json.dumps(TITLES))
    return tmp_path


def read(folder):
    return read_source(TitleWindowsConfig(folder=folder))


def test_golden(folder):
    dataset = read(folder)
    # User 9 before 10. The last window of 10 shows that item 1 was taken again before 3.
    assert dataset.interactions.table.rows() == [
        ("9", "1", 5), ("9", "2", 5), ("9", "3", 8),
        ("10", "3", 5), ("10", "1", 5), ("10", "2", 5), ("10", "x", 7),
        ("10", "1", 9), ("10", "3", 9),
    ]  # fmt: skip
    assert dataset.targets.rows() == [
        ("9", 1, "training"), ("9", 2, "validation"),
        ("10", 2, "training"), ("10", 3, "training"), ("10", 5, "test"),
    ]  # fmt: skip
    assert dataset.items.rows() == [
        ("3", "Pens &amp; ink "), ("1", " Desk"), ("2", "Lamp"), ("x", "Lamp"), ("4", None),
    ]  # fmt: skip
    assert dataset.notes == {
        "windows_read": 5,
        "items_in_the_longest_window": 3,
        "interactions_with_the_time_of_a_later_one": 4,
        "windows_missing_between_others": 1,
        "users_with_windows_missing": 1,
        "users_parted_from_others": 0,
    }


def test_the_card_tells_the_published_targets(folder):
    card = data_card(read(folder))
    assert card.split == "published"
    assert card.targets == {"training": 3, "validation": 1, "test": 1}
    (folder / "valid.csv").unlink()
    facts = data_card(read(folder)).facts()
    assert facts["validation targets (published)"] == "0"


def test_a_dataset_keeps_its_targets(folder, tmp_path):
    dataset = read(folder)
    dataset.save(tmp_path / "out")
    assert Dataset.load(tmp_path / "out").targets.equals(dataset.targets)


def test_rows_of_a_part_may_stand_in_any_order(folder):
    before = read(folder)
    write(folder, "train.csv", TRAIN[::-1])
    assert read(folder).interactions.table.equals(before.interactions.table)


def test_ids_that_are_no_numbers_keep_the_order_of_their_windows(folder):
    write(folder, "train.csv", ['b,"[1, 2]",7', 'c,"[1, 2]",6', 'a,"[1, 2]",7'])
    write(folder, "valid.csv", ['b,"[1, 2, 3]",8'])
    dataset = read(folder)
    assert dataset.interactions.user_ids.to_list() == ["c", "b", "a", "10"]


def test_a_window_that_does_not_continue_its_user(folder):
    write(folder, "test.csv", ['10,"[3, 2, 1]",9'])
    dataset = read(folder)
    assert dataset.interactions.user_ids.to_list() == ["9", "10", "10/2"]
    assert dataset.notes["users_parted_from_others"] == 1
    write(folder, "train.csv", [*TRAIN, '10/2,"[1, 2]",1'])
    with pytest.raises(ValueError, match=r"a user is called '10/2', as the second .*: rename"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("train", ['1,"[1, 2",5'], r"train.csv, row 1, column 'item_ids': '\[1, 2' is not a list"),
        ("train", [TRAIN[1], "9,,6"], r"train.csv, row 2, column 'item_ids': '' is not a list of"),
        ("train", ['1,"{""1"": 2}",5'], "is not a list of item ids as in"),
        ("train", ['1,"[1, 2.5]",5'], r"'\[1, 2.5\]' is not a list of item ids"),
        ("train", ['1,"[1, true]",5'], "is not a list of item ids"),
        ("train", ['1,"[1, [2]]",5'], "is not a list of item ids"),
        ("train", [f"1,{'[' * 100_000},5"], "is not a list of item ids"),
        ("valid", ["1,[1],5"], r"valid.csv, row 1, .*'\[1\]' is not a history and a target"),
        ("valid", ["1,[],5"], "is not a history and a target"),
        ("test", ['1,"[1, 7]",5'], "column 'item_ids': '7' is not an item of items.json: add it"),
        ("test", ['1,"[1, 2]",soon'], "column 'timestamp': 'soon' is not a whole number"),
        ("test", ['1,"[1, 2]",'], "column 'timestamp': .* is not a whole number"),
        ("test", [' ,"[1, 2]",5'], "column 'user_id': ' ' is not an id"),
        ("test", ['10,"[2, 1]",6'], "test.csv, row 1, column 'timestamp': 6 is not at or after 7, "
         "the time of the same user in train.csv, row 3: parts must follow one another"),
        ("test", ['10,"[3, 1, 2]",7', '10,"[3, 1, 2]",7'], "test.csv has in row 2 the window of "
         "test.csv, row 1, again: drop one"),
        ("valid", [TRAIN[1]], "valid.csv has in row 1 the window of train.csv, row 2, again"),
        ("train", [], "has a header and no rows"),
        ("train", ['1,"[1, 2]",5,6'], "has 4 fields in row 1 and 3 in its header"),
    ],
)  # fmt: skip
def test_bad_rows_get_one_line(folder, name, rows, message):
    write(folder, f"{name}.csv", rows)
    with pytest.raises(ValueError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert f"{name}.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds a list: an object of items and their titles"),
        ('{"1": "a"', "is cut short"),
        ('{"1": 5}', "item '1' has the title 5: a text is needed"),
        ('{"1": ["a"]}', r"item '1' has the title \['a'\]"),
        ('{" ": "a"}', "item id ' ' is blank"),
        ('{"1": "\\ud800"}', "half a surrogate pair"),
        ('{"1": "a", "1": "b"}', "has the key '1' twice"),
    ],
)
def test_bad_items_get_one_line(folder, content, message):
    (folder / "items.json").write_text(content)
    with pytest.raises(ValueError, match=f"items.json.*{message}") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "items.json"])
def test_missing_files(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"no file at .*{name}"):
        read(folder)


def test_other_columns_and_folders(folder):
    write(folder, "test.csv", TEST, header="user,item_ids,timestamp")
    with pytest.raises(ValueError, match=r"test.csv.*user_id.*give the columns user_id, item_ids"):
        read(folder)
    with pytest.raises(ValueError, match=r"no such folder: .*absent; give the one with train.csv"):
        read(folder / "absent")


@given(data=st.data())
def test_damaged_bytes_give_a_dataset_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    for name, rows in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        write(folder, f"{name}.csv", rows)
    (folder / "items.json").write_text(json.dumps(TITLES))
    path = folder / data.draw(st.sampled_from(["train.csv", "test.csv", "items.json"]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(bytes(content))
    try:
        read(folder)
    except ValueError as error:
        complaint = str(error)
    else:
        return
    assert "\n" not in complaint
    assert str(folder) in complaint


@pytest.mark.parametrize(
    ("name", "counts", "parts"),
    [
        ("toy", (19_124, 11_758, 165_247), (38_344, 4_793, 4_794)),
        ("office", (4_273, 2_414, 47_950), (15_400, 0, 1_925)),
    ],
)
def test_published_counts(data_folder, name, counts, parts):
    dataset = read(data_folder / f"{name}-titles")
    found = dataset.interactions
    assert (found.num_users, found.num_items, len(found)) == counts
    assert tuple(data_card(dataset).targets.values()) == parts
    missing = dataset.notes["windows_missing_between_others"]
    gaps = dataset.notes["users_with_windows_missing"]
    assert (missing, gaps) == ((0, 0) if name == "toy" else (637, 299))
    assert dataset.notes["users_parted_from_others"] == 0
