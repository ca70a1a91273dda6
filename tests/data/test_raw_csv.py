"""What text tables do that other formats do not; the rest is in test_raw_tables."""

import pytest

from beamwise.data.raw_csv import csv_header, read_csv_batches


def test_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\n"a,b";\xc3\xa9;\r\n1;2;3\n')
    assert csv_header(path, ";") == ["a,b", "é", ""]


def test_columns_not_asked_for_may_hold_anything(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b,c\n1,\xff\0,\xff\n")
    (batch,) = read_csv_batches(path, ["a"], ",")
    assert batch.table.rows() == [("1",)]


def test_a_long_quoted_end_of_file_is_closed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,"' + b"x\n" * 5000 + b'"\n\n')
    (batch,) = read_csv_batches(path, ["b"], ",")
    assert batch.table["b"].str.len_bytes().to_list() == [10_000]


def test_a_huge_header_is_no_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 200_000 + b"\n1\n")
    with pytest.raises(ValueError, match=r"a.csv has no header .*: name the columns in its first"):
        csv_header(path, ",")


def test_a_file_without_header_counts_its_first_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,1\n\ny,2\n")
    (batch,) = read_csv_batches(path, ["b", "a"], ",", ["a", "b"])
    assert (batch.first_row, batch.table.rows()) == (1, [("1", "x"), ("2", "y")])
    path.write_bytes(b"x,1\ny,2,3\n")
    with pytest.raises(ValueError, match=r"a.csv has 3 fields in row 2 and not 2: correct or drop"):
        list(read_csv_batches(path, ["a"], ",", ["a", "b"]))
    path.write_bytes(b"a,b\nx,1\ny,2,3\n")
    with pytest.raises(ValueError, match=r"has 3 fields in row 2 and 2 in its header"):
        list(read_csv_batches(path, ["a"], ","))
