"""Users' own semantic IDs: every accepted form gives the same codes, bad files get one line."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beamwise.tokenization.semantic_id_files import read_semantic_ids

ITEMS = pl.Series("id", ["b", "a", "c"])
CODES = [[3, 17, 200], [0, 5, 999_999], [3, 17, 200]]  # of b, a, c; two may share theirs
TEXTS = {
    "levels.csv": "item_id,first,second,third\na,0,5,999999\nb,3,17,200\nc,3,17,200\n",
    "item last.csv": "z,y,x,item_id\n0,5,999999,a\n3,17,200,b\n3,17,200,c\n",
    "numbers.csv": "item_id,codes\na,0 5 999999\nb,3 17 200\nc,3 17 200\n",
    "list.csv": 'item_id,codes\na,"[0, 5, 999999]"\nb,"3,17,200"\n\nc,"[3,17,200]"\n',
    "tokens.tsv": "codes\titem_id\n<a_0><b_5><c_999999>\ta\n<a_3> <b_17> <c_200>\tb\n"
    "<a_3><b_17><c_200>\tc\n",
    "pandas.csv": "item_id,0,1,2\r\na,0.0,5.0,999999.0\r\nb,3,17,200\r\nc,3,17,200\r\n",
    "bom.CSV": "\ufeffitem_id,1,2,3\nc,3,17,200\na,0,5,999999\nb,3,17,200",
}


@pytest.mark.parametrize("name", TEXTS)
def test_forms_of_text(tmp_path, name):
    path = tmp_path / name
    path.write_text(TEXTS[name], encoding="utf-8", newline="")
    check(read_semantic_ids(path, ITEMS))


def check(table: pl.DataFrame) -> None:
    assert table.schema == {"item_id": pl.String, "codes": pl.List(pl.Int32)}
    assert table["item_id"].to_list() == ITEMS.to_list()
    assert table["codes"].to_list() == CODES


LEVELS = {f"level_{level}": [row[level] for row in CODES] for level in range(3)}
TABLES = {
    "levels": pl.DataFrame(LEVELS),
    "text levels": pl.DataFrame(LEVELS).cast(pl.String),
    "float levels": pl.DataFrame(LEVELS).cast(pl.Float64),
    "list": pl.DataFrame({"codes": CODES}),
    "array": pl.DataFrame({"codes": CODES}, schema={"codes": pl.Array(pl.UInt32, 3)}),
    "text": pl.DataFrame({"codes": [" ".join(map(str, row)) for row in CODES]}),
    "tokens": pl.DataFrame({"codes": [[f"<a_{code}>" for code in row] for row in CODES]}),
}


@pytest.mark.parametrize("name", TABLES)
def test_forms_of_parquet(tmp_path, name):
    path = tmp_path / "codes.parquet"
    TABLES[name].insert_column(0, ITEMS.alias("item_id")).reverse().write_parquet(path)
    check(read_semantic_ids(path, ITEMS))
    TABLES[name].drop_in_place("item_id")


def test_numbers_as_item_ids_in_parquet(tmp_path):
    path = tmp_path / "codes.parquet"
    pl.DataFrame({"item_id": [20, 10], "codes": [[1], [2]]}).write_parquet(path)
    assert read_semantic_ids(path, pl.Series(["10", "20"]))["codes"].to_list() == [[2], [1]]


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_follows_the_items(tmp_path, kind, order):
    np.save(tmp_path / "codes.npy", np.array(CODES, dtype=kind, order=order))
    check(read_semantic_ids(tmp_path / "codes.npy", ITEMS))


BAD_TEXTS = {
    "empty": ("", "has no column 'item_id' (it has none)"),
    "no item_id": ("item,codes\na,1\n", "has no column 'item_id' (it has 'item', 'codes')"),
    "no codes": ("item_id\na\n", "has no codes: add a column 'codes'"),
    "two forms": ("item_id,codes,title\na,1,x\n", "has the column 'title' beside 'codes'"),
    "repeated column": ("item_id,x,x\na,1,1\n", "has two columns 'x': keep one"),
    "only a header": ("item_id,x\n", "has no rows: give a row for every item"),
    "no id": ("item_id,x\na,1\n,2\n", "row 2, column 'item_id': '' is not an item id: name"),
    "ragged": ("item_id,x\na,1\nb,2,3\n", "has 3 values in row 2, its header names 2"),
    "null": ("item_id,x,y\na,1,2\nb,1,\n", "row 2, column 'y': '' is not a code"),
    "negative": ("item_id,x,y\na,1,-2\n", "row 1, column 'y': '-2' is not a code, a whole number"),
    "huge": ("item_id,x\na,1000000\n", "'1000000' is not a code, a whole number 0..999,999"),
    "fraction": ("item_id,x\na,1.5\n", "'1.5' is not a code"),
    "nan": ("item_id,x\na,nan\n", "'nan' is not a code"),
    "no digit": ("item_id,x\na,²\n", "'²' is not a code"),
    "cell of two": ("item_id,x\na,1 2\n", "'1 2' is not a code"),
    "text": ("item_id,codes\na,1 2\nb,1 x\n", "row 2, column 'codes': '1 x' is not codes 0..999"),
    "empty list": ("item_id,codes\na,[]\n", "'[]' is not codes"),
    "shorter": ("item_id,codes\na,1 2\nb,1\n", "row 2, column 'codes': '1' is not of 2 codes, as"),
    "twice": ("item_id,x\na,1\na,2\n", "row 2, column 'item_id': 'a' is not an item that no row"),
    "unknown": ("item_id,x\na,1\nzz,2\n", "row 2, column 'item_id': 'zz' is not an item of the"),
    "missing": ("item_id,x\na,1\n", "has no codes for 2 of 3 items, as for 'b': add a row"),
    "open quote": ('item_id,x\n"a,1\n', "is no table of text (unexpected end of data)"),
    "zip": ("item_id,x\na,\x00\n", "'\\x00' is not a code"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_text_gets_one_line(tmp_path, name):
    text, complaint = BAD_TEXTS[name]
    path = tmp_path / "codes.csv"
    path.write_text(text, encoding="utf-8")
    refuse(path, complaint)


def refuse(path, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        read_semantic_ids(path, ITEMS)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_of_another_kind(tmp_path):
    refuse(tmp_path / "codes.csv", "is no file: name the file")
    refuse(tmp_path / "codes.json", "is of no known format: name a file .csv, .tsv, .parquet, .npy")
    (tmp_path / "latin.csv").write_bytes(b"item_id,x\n\xe4,1\n")
    refuse(tmp_path / "latin.csv", "is not UTF-8 at byte 10: save it as UTF-8")
    (tmp_path / "codes.parquet").write_bytes(b"PAR1 cut")
    refuse(tmp_path / "codes.parquet", "is not readable (")


BAD_TABLES = {
    "null code": ({"item_id": ["a"], "x": [None]}, "row 1, column 'x': null is not a code"),
    "null id": ({"item_id": [None, "a"], "x": [1, 2]}, "column 'item_id': null is not an item id"),
    "null in a list": ({"item_id": ["a"], "codes": [[1, None]]}, "'codes': null is not codes"),
    "NaN": ({"item_id": ["a"], "x": [float("nan")]}, "'nan' is not a code"),
    "lists of lists": ({"item_id": ["a"], "codes": [[[1], [2]]]}, "is not codes"),
    "bool": ({"item_id": ["a"], "x": [True]}, "'True' is not a code"),
    "struct": ({"item_id": ["a"], "x": [{"y": 1}]}, "is not a code"),
    "bytes": ({"item_id": ["a"], "x": [b"\xff"]}, "is not a code"),
    "no rows": ({"item_id": [], "x": []}, "has no rows"),
    "no columns": ({}, "has no column 'item_id' (it has none)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_parquet_gets_one_line(tmp_path, name):
    content, complaint = BAD_TABLES[name]
    path = tmp_path / "codes.parquet"
    pl.DataFrame(content).write_parquet(path)
    refuse(path, complaint)


BAD_ARRAYS = {
    "one row short": (np.zeros((2, 3), int), "of shape (2, 3), expected (3, levels)"),
    "transposed": (np.zeros((4, 3), int).T[:2], "expected (3, levels)"),
    "flat": (np.zeros(3, int), "of shape (3,)"),
    "no levels": (np.zeros((3, 0), int), "(3, 0)"),
    "negative": (np.array([[1], [2], [-4]]), "row 3, column 'level 1': -4 is not a code"),
    "huge": (np.array([[1, 1 << 40]] * 3), "row 1, column 'level 2': 1099511627776 is not"),
    "NaN": (np.array([[1.0], [np.nan], [2]]), "row 2, column 'level 1': nan is not a code"),
    "infinite": (np.array([[1.0], [np.inf], [2]]), "inf is not a code"),
    "fraction": (np.array([[1.0], [0.5], [2]]), "0.5 is not a code"),
    "text": (np.array([["1"], ["2"], ["3"]]), "holds <U1: save one array of whole numbers"),
    "bool": (np.ones((3, 1), bool), "holds bool"),
    "objects": (np.array([[1], [2], [None]]), "is no array ("),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_get_one_line(tmp_path, name):
    values, complaint = BAD_ARRAYS[name]
    np.save(tmp_path / "codes.npy", values)
    refuse(tmp_path / "codes.npy", complaint)


def test_several_arrays_are_refused(tmp_path):
    with (tmp_path / "codes.npy").open("wb") as file:
        np.savez(file, np.zeros((3, 1)))
    refuse(tmp_path / "codes.npy", "is no array (")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def read_or_refuse(path) -> None:
    """Either a table that keeps its promise, or one line that begins with the file."""
    try:
        table = read_semantic_ids(path, ITEMS)
    except ValueError as error:
        message = str(error)
    else:
        check_promise(table)
        return
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1


def check_promise(table: pl.DataFrame) -> None:
    assert table["item_id"].to_list() == ITEMS.to_list()
    codes = table["codes"].to_list()
    assert len({len(row) for row in codes}) == 1
    assert all(0 <= code <= 999_999 for row in codes for code in row)


PIECES = ["item_id", "codes", "a", "b", "c", "1", "22", "-3", "1e9", "<a_1>", "[1, 2]", ",", "\t"]
PIECES += ["\n", "\r", '"', " ", "\ufeff", "\x00", "nan", "\u2028", "🙂", "7" * 5000]


@given(text=st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
@example(text="item_id,codes\na,1\nb,1\nc,1")
def test_any_text_is_read_or_refused(folder, text):
    for name in ("codes.csv", "codes.tsv"):
        (folder / name).write_text(text, encoding="utf-8", newline="")
        read_or_refuse(folder / name)


@given(content=st.binary(max_size=60), ending=st.sampled_from(["csv", "tsv", "parquet", "npy"]))
def test_any_bytes_are_read_or_refused(folder, content, ending):
    (folder / f"codes.{ending}").write_bytes(content)
    read_or_refuse(folder / f"codes.{ending}")


@given(place=st.integers(0, 400), byte=st.integers(0, 255), kept=st.integers(0, 400))
@pytest.mark.parametrize("ending", ["npy", "parquet"])
def test_damaged_files_are_read_or_refused(folder, ending, place, byte, kept):
    path = folder / f"damaged.{ending}"
    if ending == "npy":
        np.save(path, np.array(CODES))
    else:
        pl.DataFrame({"item_id": ITEMS, "codes": CODES}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    cut = bytes(content[:kept]) if kept % 2 else bytes(content)
    path.write_bytes(cut)
    read_or_refuse(path)
