"""A user's own table: golden in all formats, rules, bad input; no bytes make a traceback."""

import gzip
import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.config import read_config
from beamwise.data.dataset import Dataset
from beamwise.data.sources import TableConfig, read_source

ROWS = [("b", "x", 5), ("a", "y", 9), ("b", "x", 5), ("b", "z", 1), ("a", "x", 3)]
IN_ORDER = [("b", "z", 1), ("b", "x", 5), ("a", "x", 3), ("a", "y", 9)]
CSV = "user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in ROWS)
NAMES = ["user_id", "item_id", "timestamp"]
ITEMS = "item_id,title,brand\nw,Whisk,\nz,,Norvik\ny,Yarn,\nx,Pen &amp; ink,\n"


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(ROWS, schema=NAMES, orient="row").write_parquet(buffer)
    return buffer.getvalue()


CONTENTS = {
    "csv": CSV.encode(),
    "tsv": CSV.replace(",", "\t").encode(),
    "csv.gz": gzip.compress(CSV.encode()),
    "parquet": parquet(),
    "jsonl": "".join(
        json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in ROWS
    ).encode(),
}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "taken.csv").write_text(CSV)
    return tmp_path / "taken.csv"


@pytest.fixture
def items(tmp_path):
    (tmp_path / "items.csv").write_text(ITEMS)
    return tmp_path / "items.csv"


def read(file, **rest) -> Dataset:
    return read_source(TableConfig(file=file, **rest))


def refused(message: str, file, **rest) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(file, **rest)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", CONTENTS)
def test_golden(tmp_path, kind):
    (tmp_path / f"taken.{kind}").write_bytes(CONTENTS[kind])
    dataset = read(tmp_path / f"taken.{kind}")
    assert dataset.interactions.table.rows() == IN_ORDER
    assert dataset.items.rows() == [("x", None), ("y", None), ("z", None)]
    assert dataset.items.schema == {"item_id": pl.String, "title": pl.String}
    assert dataset.notes == {"rows_read": 5, "duplicates_dropped": 1, "dropped_outside_core": 0}


def test_items_file_gives_order_titles_and_what_nobody_took(file, items):
    dataset = read(file, items=items)
    assert dataset.items.rows() == [
        ("w", "Whisk", None), ("z", None, "Norvik"), ("y", "Yarn", None), ("x", "Pen & ink", None),
    ]  # fmt: skip
    assert dataset.interactions.table.rows() == IN_ORDER


def test_core_keeps_its_items(file, items):
    # z goes with its one interaction, then b has one left, and nobody else took x twice with y.
    file.write_text(CSV + "b,y,7\n")
    dataset = read(file, items=items, min_interactions=2)
    assert dataset.items["item_id"].to_list() == ["y", "x"]
    assert dataset.interactions.num_users == 2
    assert dataset.notes["dropped_outside_core"] == 1
    refused(
        r"taken.csv has 5 interactions of 2 users with 3 items, and none is left in their 3-core: "
        "lower min_interactions",
        file,
        min_interactions=3,
    )


def test_rules_of_duplicates(file):
    assert len(read(file, duplicates="keep").interactions) == 5
    assert read(file, duplicates="first").notes["duplicates_dropped"] == 1
    with pytest.raises(ValidationError):
        TableConfig(file=file, duplicates="last")


def test_other_columns_and_no_times(file):
    file.write_text("wer;was\nb;x\na;y\nb;x\n")
    columns = {"user_id": "wer", "item_id": "was", "timestamp": None}
    dataset = read(file, columns=columns, separator=";")
    assert dataset.interactions.table.rows() == [("b", "x", 0), ("b", "x", 1), ("a", "y", 0)]


def test_times_in_words(file):
    file.write_text("user_id,item_id,timestamp\na,x,1970-01-02\n")
    assert read(file, timestamp_format="iso").interactions.timestamps.tolist() == [86_400_000_000]
    with pytest.raises(ValueError, match="timestamp_format 'date' is not known: give number, iso"):
        read_config(TableConfig, None, [f"file={file}", "timestamp_format=date"])


def test_refused(file, items):
    refused(r"taken.csv has no column 'who' .*name .* with --column user_id=NAME", file,
            columns={"user_id": "who"})  # fmt: skip
    refused(r"items.csv has no column 'name' .*with --item-column title=NAME, or where", file,
            items=items, item_columns={"title": "name"})  # fmt: skip
    refused(r"no file at .*absent.csv", file, items=file.parent / "absent.csv")
    items.write_text("item_id,title\nx,X\n")
    refused(r"items.csv lacks 2 of the 3 items in .*taken.csv, as 'y': add them", file, items=items)
    file.write_text(CSV + "c,x,soon\n")
    refused(r"taken.csv, row 6, column 'timestamp': 'soon' is not a whole number", file)


def check_never_a_traceback(path, content: bytes, **rest) -> None:
    path.write_bytes(content)
    message = message_of(path, **rest)
    assert message is None or (str(path) in message and "\n" not in message)


def message_of(file, **rest) -> str | None:
    """The error, if there is one; anything but a ValueError goes on."""
    try:
        assert isinstance(read(file, **rest), Dataset)
    except ValueError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    (path := tmp_path_factory.mktemp("fuzz") / "good.csv").write_text(CSV)
    return path.parent


kinds = st.sampled_from(list(CONTENTS))
columns = st.sampled_from([None, "timestamp"])
formats = st.sampled_from(["number", "iso", "%Y"])


@settings(max_examples=300)
@given(kind=kinds, content=st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_any_bytes(folder, kind, content):
    check_never_a_traceback(folder / f"any.{kind}", content)
    check_never_a_traceback(folder / f"head.{kind}", b"user_id,item_id,timestamp\n" + content)


@settings(max_examples=600)
@given(data=st.data(), kind=kinds, time=columns, timestamp_format=formats)
def test_mutated_files(folder, data, kind, time, timestamp_format):
    content = CONTENTS[kind]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        some = st.binary(max_size=4) | st.sampled_from(
            [b'"', b"\n", b"\r", b",", b"\0", b"-", b" "]
        )
        content = content[:start] + data.draw(some) + content[start + length :]
    check_never_a_traceback(
        folder / f"mutated.{kind}",
        content,
        columns={"timestamp": time},
        timestamp_format=timestamp_format,
    )


@settings(max_examples=200)
@given(data=st.data(), name=st.sampled_from(["a.csv", "a.jsonl", "a.parquet"]))
def test_mutated_items(folder, data, name):
    content = ITEMS.encode() + b"xyz"
    if name != "a.csv":
        table = pl.read_csv(io.BytesIO(ITEMS.encode()))
        buffer = io.BytesIO()
        table.write_parquet(buffer) if "parquet" in name else table.write_ndjson(buffer)
        content = buffer.getvalue()
    start = data.draw(st.integers(0, len(content)))
    content = content[:start] + data.draw(st.binary(max_size=4)) + content[start + 3 :]
    (folder / name).write_bytes(content)
    message = message_of(folder / "good.csv", items=folder / name)
    assert message is None or (str(folder) in message and "\n" not in message)


types = st.sampled_from(
    [
        pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.uint64(), pa.float64(),
        pa.bool_(), pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.decimal128(20, 2),
        pa.decimal256(60, 2), pa.duration("s"), pa.list_(pa.int8()), pa.time64("ns"), pa.null(),
        pa.dictionary(pa.int8(), pa.string()), pa.struct([("a", pa.int8())]), pa.float16(),
        pa.dictionary(pa.int8(), pa.int64()),
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(kinds=st.tuples(types, types, types), data=st.data())
def test_any_types_of_parquet(folder, kinds, data):
    def column(kind: pa.DataType) -> pa.Array:
        raw = data.draw(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=2))
        if kind == pa.string() or pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
            return pa.nulls(2, kind) if kind != pa.string() else pa.array(raw).view(kind)
        if kind in (pa.large_string(), pa.binary(), pa.null(), pa.bool_()):
            return pa.nulls(2, kind)
        return pa.Array.from_buffers(kind, 2, [None, pa.py_buffer(b"".join(raw))])

    table = pa.table({name: column(kind) for name, kind in zip(NAMES, kinds, strict=True)})
    buffer = io.BytesIO()
    try:
        pq.write_table(table, buffer)
    except pa.ArrowException:
        return
    check_never_a_traceback(folder / "types.parquet", buffer.getvalue())


def test_items_without_titles_and_with_another_separator(file, items):
    items.write_text("item_id;brand\nx;A\ny;B\nz;\n")
    settings = {"items_separator": ";", "item_columns": {"title": None}}
    assert read(file, items=items, **settings).items.rows() == [
        ("x", None, "A"), ("y", None, "B"), ("z", None, None),
    ]  # fmt: skip
    refused("items.csv has one column, 'item_id;brand': add --set 'items_separator=;'", file,
            items=items)  # fmt: skip


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("separator=\\t", "tabs separate the fields of TSV: set format=tsv"),
        ("separator=\t", "tabs separate the fields of TSV: set format=tsv"),
        ("items_separator=ab", "a separator is one character"),
    ],
)
def test_separators_that_are_none(override, message):
    with pytest.raises(ValueError, match=message):
        read_config(TableConfig, None, ["file=a.csv", override])


def test_whether_there_are_times(file):
    assert read(file).has_times
    timeless = read(file, columns={"timestamp": None})
    assert not timeless.has_times
    per_user = timeless.interactions.table.group_by("user_id").agg("timestamp")["timestamp"]
    assert all(times.to_list() == list(range(len(times))) for times in per_user)
