"""Parquet files of a dataset folder."""

from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beamwise.data import parquet_files
from beamwise.data.parquet_files import UnreadableFileError, read_table, table_parts

ITEMS = pl.DataFrame({"item_id": ["a", "b", "c"], "codes": [[1], [2, 3], []]})


@pytest.fixture
def path(tmp_path):
    ITEMS.write_parquet(tmp_path / "items.parquet")
    return tmp_path / "items.parquet"


def test_whole_and_in_parts(path, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_AT_ONCE", 2)
    assert read_table(path).equals(ITEMS)
    parts = list(table_parts(path, ["codes", "absent"]))
    assert [part.height for part in parts] == [0, 2, 1]
    assert pl.concat(parts).equals(ITEMS.select("codes"))


def test_dictionaries_become_text(tmp_path):
    values = pa.array(["a", "b", "a"]).dictionary_encode()
    pq.write_table(pa.table({"item_id": values}), tmp_path / "items.parquet")
    assert read_table(tmp_path / "items.parquet")["item_id"].to_list() == ["a", "b", "a"]
    ITEMS.cast({"item_id": pl.Categorical}).write_parquet(tmp_path / "items.parquet")
    assert read_table(tmp_path / "items.parquet").equals(ITEMS)


@pytest.mark.parametrize("read", [read_table, lambda path: list(table_parts(path, ["item_id"]))])
def test_unreadable(tmp_path, path, read):
    with pytest.raises(UnreadableFileError, match=r"no file at .*absent: run `beamwise prepare`"):
        read(tmp_path / "absent")
    content = path.read_bytes()
    path.write_bytes(content[:20] + bytes(20) + content[40:])
    with pytest.raises(UnreadableFileError, match=r"items.parquet is not readable as") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    pq.write_table(pa.table({"item_id": pa.array([b"\xff"]).view(pa.string())}), path)
    with pytest.raises(UnreadableFileError, match=r"not readable as Parquet .*UTF8"):
        read(path)


def test_a_type_that_polars_has_not(tmp_path, capfd):
    wide = pa.array([Decimal(1)], pa.decimal256(50, 2))
    pq.write_table(pa.table({"item_id": wide}), tmp_path / "items.parquet")
    with pytest.raises(UnreadableFileError, match=r"items.parquet is not readable as Parquet"):
        read_table(tmp_path / "items.parquet")
