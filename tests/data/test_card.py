"""Data cards by hand, against naive loops, on published data, and as they are written."""

import json
import statistics
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.card import DataCard, data_card, write_card
from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.sources import SemanticIdJsonConfig, TableConfig, read_source
from beamwise.data.splitting import leave_one_out, sequences_of

DAY = 86_400


def dataset_of(users: list[list[str]], first_time: int = 0, step: int = 1, **columns) -> Dataset:
    """Users with these items; user u's are `step` apart from `first_time` + u on."""
    rows = [
        (f"u{u}", item, first_time + u + step * place)
        for u, items in enumerate(users)
        for place, item in enumerate(items)
    ]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    ids = columns.pop("item_id", sorted(set(table["item_id"])))
    items = pl.DataFrame({"item_id": ids, "title": [None] * len(ids)} | columns,
                         schema_overrides={"title": pl.String})  # fmt: skip
    return Dataset(Interactions.from_table(table), items)


def golden() -> Dataset:
    # Users with 5, 3, 2, 1 and 1 interactions; items a 6, b 4, c 2 times, d never.
    users = [list("abaca"), list("aba"), list("bc"), ["a"], ["b"]]
    return dataset_of(
        users,
        first_time=1_600_000_000,
        step=DAY,
        item_id=list("abcd"),
        title=["A", None, " ", "D"],
        brand=[None, "x", None, None],
        price=[1.0, 2.0, 3.0, 4.0],
    )


def test_golden():
    card = data_card(golden())
    assert (card.users, card.items, card.items_taken, card.interactions) == (5, 4, 3, 12)
    assert card.density_percent == 80  # 12 of 5 x 3
    assert (card.items_with_title, card.items_with_text) == (2, 3)
    per_user, per_item = card.interactions_per_user, card.interactions_per_item
    assert (per_user.min, per_user.median, per_user.mean, per_user.max) == (1, 2, 2.4, 5)
    assert per_user.histogram == {"1": 2, "2-3": 2, "4-7": 1}
    assert (per_item.min, per_item.median, per_item.mean, per_item.max) == (2, 4, 4, 6)
    assert per_item.histogram == {"1": 0, "2-3": 1, "4-7": 2}
    assert (card.first_time, card.last_time) == (1_600_000_000, 1_600_000_000 + 4 * DAY)
    assert card.targets == {"training": 2, "validation": 2, "test": 3}
    assert (card.notes, card.published) == ({}, ())


def test_markdown_golden():
    targets, notes = {"test": 1_234}, {"rows_read": 10_000}
    card = data_card(golden(), targets, notes, ["users: 5 | published 6", "two\nlines"])
    assert (
        card.as_markdown()
        == """\
# Data card

| | |
| --- | ---: |
| users | 5 |
| items | 4 |
| items that somebody took | 3 |
| interactions | 12 |
| density | 80 % of users x items taken |
| items with a title | 2 |
| items with any text | 3 (without: 1) |
| times | 2020-09-13 to 2020-09-17 |
| test targets | 1,234 |
| rows read | 10,000 |

## Interactions of a user

min 1, median 2, mean 2.40, max 5

```text
interactions  users
           1      2  ########################################
         2-3      2  ########################################
         4-7      1  ####################
```

## Interactions of an item

min 2, median 4, mean 4.00, max 6

```text
interactions  items
           1      0
         2-3      1  ####################
         4-7      2  ########################################
```

## Published figures

- users: 5 \\| published 6
- two lines
"""
    )


def test_files_say_the_same(tmp_path):
    card = data_card(golden(), notes={"rows_read": 12}, published=["as published"])
    write_card(card, tmp_path)
    content = json.loads((tmp_path / "data_card.json").read_text())
    assert content == card.as_dict()
    assert content["interactions_per_user"]["histogram"]["2-3"] == 2
    assert (tmp_path / "data_card.md").read_text() == card.as_markdown()


def period(card: DataCard) -> str:
    line = next(line for line in card.as_markdown().splitlines() if line.startswith("| times"))
    return line.split(" | ")[1].removesuffix(" |")


@pytest.mark.parametrize(
    ("first_time", "step", "shown"),
    [
        (1_600_000_000_000, 1_000 * DAY, "2020-09-13 to 2020-09-14"),
        (1_600_000_000_000_000, 10**6 * DAY, "2020-09-13 to 2020-09-14"),
        (-DAY, 10**9, "1969-12-31 to 2001-09-08"),
        (1, 364, "1 to 365"),
        (0, 1, "none: timestamps are positions in the users' lists"),
        (0, 2**62, "0 to 4,611,686,018,427,387,904"),
        (-(2**62), 2**62 + 1_600_000_000, "-4,611,686,018,427,387,904 to 1,600,000,000"),
    ],
)
def test_times_are_days_where_they_are_of_a_known_unit(first_time, step, shown):
    card = data_card(dataset_of([["a", "b"]], first_time, step))
    assert period(card) == shown
    assert (card.first_time is None) == shown.startswith("none")


def test_what_the_source_counted_is_noted():
    dataset = golden()
    noted = Dataset(dataset.interactions, dataset.items, notes={"duplicates_dropped": 3})
    assert data_card(noted).notes == {"duplicates_dropped": 3}
    assert "| duplicates dropped | 3 |" in data_card(noted).as_markdown()
    assert data_card(noted, notes={}).notes == {}


@given(st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=20), min_size=1))
def test_equals_a_naive_loop(users):
    dataset = dataset_of(users)
    card = data_card(dataset)
    lengths = [len(items) for items in users]
    taken = list(Counter(item for items in users for item in items).values())
    for found, counts in ((card.interactions_per_user, lengths),
                          (card.interactions_per_item, taken)):  # fmt: skip
        assert (found.min, found.max) == (min(counts), max(counts))
        assert found.median == statistics.median(counts)
        assert found.mean == pytest.approx(statistics.fmean(counts))
        for name, size in found.histogram.items():
            first, _, last = name.partition("-")
            assert size == sum(int(first) <= count <= int(last or first) for count in counts)
        assert sum(found.histogram.values()) == len(counts)
        assert list(found.histogram.values())[-1] > 0
    split = leave_one_out(sequences_of(dataset.interactions, dataset.items["item_id"]))
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    assert card.targets == {name: len(part.users) for name, part in parts.items()}
    json.dumps(card.as_dict(), allow_nan=False)
    assert max(map(len, card.as_markdown().splitlines())) < 100


@pytest.mark.parametrize(
    ("name", "shown"), [("office", "0.4487 %"), ("beauty", "0.07335 %")]
)  # 53,258 of 4,905 x 2,420 and 198,502 of 22,363 x 12,101
def test_published_data(data_folder, name, shown):
    dataset = read_source(SemanticIdJsonConfig(folder=data_folder / name))
    card = data_card(dataset)
    assert shown in card.as_markdown()
    assert card.interactions_per_user.min == card.interactions_per_item.min == 5
    assert card.first_time is None


def test_the_source_is_named_without_the_machines_folders(tmp_path):
    config = TableConfig(
        file=tmp_path / "log.csv",
        items=tmp_path / "items.csv",
        min_interactions=2,
        columns={"timestamp": None},
    )
    card = data_card(golden(), source=config)
    assert card.read_from == {
        "name": "table",
        "file": "log.csv",
        "items": "items.csv",
        "settings": "columns.timestamp=null, min_interactions=2",
    }
    text = card.as_markdown()
    assert "| source | table |" in text
    assert "| source items | items.csv |" in text
    assert "| items | 4 |" in text
    assert str(tmp_path) not in json.dumps(card.as_dict()) + text
    plain = data_card(golden(), source=TableConfig(file=tmp_path / "log.csv"))
    assert plain.read_from["settings"] == "defaults"
    assert data_card(golden()).read_from == {}


def test_the_split_is_named():
    assert "| test targets (leave-one-out) | 3 |" in data_card(golden()).as_markdown()
    assert data_card(golden()).split == "leave-one-out"
    assert data_card(golden(), {"test": 1}).split is None


def test_row_numbers_are_no_times(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id\na,x\nb,x\na,y\n")
    card = data_card(
        read_source(TableConfig(file=tmp_path / "log.csv", columns={"timestamp": None}))
    )
    assert (card.first_time, card.last_time) == (None, None)
    assert "| times | none: order of the rows |" in card.as_markdown()
