"""Targets that came with a dataset: by hand, and one line for those that do not fit."""

import polars as pl
import pytest

from beamwise.data.interactions import Interactions
from beamwise.data.published_targets import TARGET_COLUMNS, published_parts, read_targets


@pytest.fixture
def interactions() -> Interactions:
    """User b has three items, a has two."""
    rows = [("b", "x", 1), ("b", "y", 2), ("a", "x", 5), ("b", "z", 3), ("a", "z", 6)]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    return Interactions.from_table(pl.DataFrame(rows, schema=schema, orient="row"))


def table(*rows) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TARGET_COLUMNS, orient="row")


def test_golden(interactions):
    # In canonical order: b's x y z, then a's x z. Training is 1, validation 2, test 3.
    targets = table(("a", 1, "test"), ("b", 1, "training"), ("b", 2, "validation"))
    assert published_parts(targets, interactions).tolist() == [0, 1, 2, 0, 3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("b", 1, "test"), ("c", 1, "test")], r"user_id 'c' in row 1 .* is not a user of the int"),
        ([("b", 1, "valid")], r"part 'valid' in row 0 .*user 'b'.* training, validation, test"),
        ([("b", 0, "test")], "position 0 in row 0 .* with an item before it"),
        ([("a", 2, "test")], "position 2 in row 0 "),
        ([("a", -1, "test")], "position -1 in row 0 "),
        ([("b", 1, "test"), ("b", 1, "training")], "position 1 in row 0 .* there only once"),
        ([("b", None, "test")], "'position' is null in row 0"),
        ([], "has no rows"),
    ],
)
def test_targets_that_do_not_fit(interactions, rows, message):
    with pytest.raises(ValueError, match=message) as caught:
        published_parts(table(*rows), interactions)
    assert "\n" not in str(caught.value)


def test_columns_are_checked(interactions):
    targets = table(("b", 1, "test"))
    with pytest.raises(ValueError, match="column 'part' of the targets is missing"):
        published_parts(targets.drop("part"), interactions)
    with pytest.raises(ValueError, match="column 'position' of the targets is Int32"):
        published_parts(targets.cast({"position": pl.Int32}), interactions)


def test_reading(tmp_path):
    path = tmp_path / "targets.parquet"
    assert read_targets(path) is None
    table(("b", 1, "test")).write_parquet(path)
    assert read_targets(path).rows() == [("b", 1, "test")]
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="not readable as Parquet"):
        read_targets(path)
