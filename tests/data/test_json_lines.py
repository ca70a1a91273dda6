"""JSON lines: golden, the quick way equals the line-by-line way, bad lines in one line."""

import gzip
import json
import warnings

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beamwise.data import json_lines, raw_lines
from beamwise.data.json_lines import first_record, json_records, read_json_line_batches

COLUMNS = {"user_id": "u", "timestamp": "t"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reviews.json"


def read(path, columns=COLUMNS) -> list[tuple]:
    batches = list(read_json_line_batches(path, columns))
    first = 1
    for batch in batches:
        assert batch.first_row == first
        first += batch.table.height
    return pl.concat([batch.table for batch in batches]).rows()


def test_golden(path):
    path.write_text(
        '{"u": "a", "t": 12, "text": "a {brace}, \\"u\\": \\"b\\""}\n'
        "\n"
        '{"t": -0, "u": "\\u00e9", "nested": {"u": "no"}}  \r\n'
        "{}\n"
        '{"u": 12345678901234567890123, "t": 1.50}\n'
        '{"u": null, "t": "2018-07-07 22:09:11"}'
    )
    assert read(path) == [
        ("a", "12"),
        ("é", "0"),
        (None, None),
        ("12345678901234567890123", "1.5"),
        (None, "2018-07-07 22:09:11"),
    ]
    assert read(path, {"x": "u", "y": "u"})[0] == ("a", "a")


def test_gzip_and_byte_order_mark(path):
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf{"u": "a", "t": 1}\n'))
    assert read(path) == [("a", "1")]


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_batches_are_bounded(path, monkeypatch, rows):
    monkeypatch.setattr(json_lines, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(raw_lines, "BLOCK_BYTES", 64)
    path.write_text("".join(f'{{"u": "{n}", "t": {n}}}\n' for n in range(50)))
    assert all(b.table.height <= rows for b in read_json_line_batches(path, COLUMNS))
    assert read(path) == [(str(n), str(n)) for n in range(50)]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just("-0")
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(), SCALARS))
RECORDS = st.dictionaries(st.sampled_from(["u", "t", "x", "}\n{"]), VALUES)
LINES = st.lists(
    st.one_of(
        RECORDS.map(json.dumps),
        RECORDS.map(lambda r: json.dumps(r, ensure_ascii=False)),
        st.sampled_from(
            ['{"u":"1"}{"u":"2"}', '{"u":', '"1"}', '{"u":"1","u":2}', '{"u":"\\ud800"}', "{}", ""]
        ),
        st.text(alphabet='{}[]":,ut1-.eE\\ ', max_size=12),
    ),
    min_size=1,
    max_size=4,
)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]))
@example(lines=['{"u":"1"}{"u":"2"}', '{"u":', '"3"}'], end="\n")  # as many objects as lines
def test_the_quick_way_equals_line_by_line(tmp_path_factory, lines, end):
    path = tmp_path_factory.mktemp("json") / "lines.json"
    block = end.join(lines).encode(errors="surrogatepass")
    quick = json_lines._quick(block, ("u", "t"))
    if quick is not None:
        assert quick.equals(json_lines._line_by_line(path, 1, block, ("u", "t")))


def test_the_quick_way_is_taken():
    block = '{"u": "é", "t": 1, "x": [1, {"u": 2}]}\n{"t": 2}\n'.encode()
    assert json_lines._quick(block, ("u", "t")).rows() == [("é", "1"), (None, "2")]


def assert_one_line(reader, path):
    """The reader reads the file, or refuses it in one line that names it."""
    message = str(path)
    try:
        reader(path)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "block",
    [
        b'{"u": "1"}{"u": "2"}\n',
        b'{"u": "1"}{"u": "2"}\n{"u":\n"3"}\n',
        b'{"u": "1", "x": "\xff"}\n',
        b'{"u": "1"}\n{"u": 2}\n',
        b'{"u": "1"}\n\n{"u": "2"}\n',
        b'{"u": "1", "u": "2"}\n',
        b'{"u": 1.5}\n',
    ],
)
def test_the_quick_way_is_left_where_it_is_not_certain(block):
    assert json_lines._quick(block, ("u",)) is None


@given(content=st.binary(max_size=80))
@example(content=b"{" * 100)
def test_arbitrary_bytes_give_rows_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "lines.json"
    path.write_bytes(content)
    assert_one_line(read, path)
    assert_one_line(lambda p: list(json_records(p, python_literals=True)), path)


VALID = b'{"u": "A2SUAM1J3GNN3B", "t": 1252800000, "x": "text"}\n{"u": "B", "t": 5}\n'


@given(at=st.integers(0, len(VALID)), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_mutated_lines_give_rows_or_one_line(tmp_path_factory, at, cut, put):
    path = tmp_path_factory.mktemp("json") / "lines.json"
    for content in (VALID, gzip.compress(VALID)):
        path.write_bytes(content[:at] + put + content[at + cut :])
        assert_one_line(read, path)


GOOD = '{"u": "a", "t": 1}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "has no JSON object in row 2, but \\[1\\]: correct or drop the line"),
        ("5", "has no JSON object in row 2, but 5"),
        ("user,item", "has no JSON object in row 2 \\(Expecting value: 'user,item'\\)"),
        ("{'u': 'a'}", "has no JSON object in row 2 \\(Expecting property name"),
        ('{"u": "a"', "has no JSON object in row 2 \\(Expecting ','"),
        ('{"u": "a"} {"u": "b"}', "has no JSON object in row 2 \\(Extra data"),
        ('{"u": true}', "row 2, column 'u': True is not a text or a finite number"),
        ('{"u": ["a"]}', "row 2, column 'u': \\['a'\\] is not a text"),
        ('{"t": {}}', "row 2, column 't': {} is not a text"),
        ('{"t": NaN}', "row 2, column 't': nan is not a text or a finite number"),
        ('{"t": 1e999}', "row 2, column 't': inf is not"),
        ('{"u": "\\ud800"}', "row 2, column 'u': '.ud800' is not Unicode text"),
        ('{"t": ' + "9" * 5000 + "}", "has no JSON object in row 2 \\(ValueError"),
        ('{"x": ' + "[" * 100_000, "has values nested too deeply in row 2"),
        (b'{"u": "\xff\xfe"}', r"is not UTF-8 in row 2 \(b'\\xff\\xfe.*save it as UTF-8"),
        (b"\xef\xbb\xbf{}", "has no JSON object in row 2 \\(Unexpected UTF-8 BOM"),
    ],
)
def test_a_bad_line_gets_one_line(path, line, message):
    raw = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(GOOD.encode() + b"\n" + raw + b"\n" + GOOD.encode())
    with pytest.raises(ValueError, match=f"reviews.json,? {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file(path, content):
    path.write_bytes(content)
    for reader in (read, lambda p: list(json_records(p))):
        with pytest.raises(ValueError, match=r"reviews.json is empty: it has no rows"):
            reader(path)


def test_records(path):
    path.write_text('{"a": [1, null]}\n\n{"b": "two"}\n')
    assert list(json_records(path)) == [(1, {"a": [1, None]}), (2, {"b": "two"})]
    assert list(json_records(path, wanted=lambda line: b"two" in line)) == [(2, {"b": "two"})]
    assert first_record(path) == {"a": [1, None]}


def test_python_literals(path):
    path.write_text(
        "{'asin': 'B1', 'title': \"Men's \\d\", 'related': {'also': ['x']}}\n{\"b\": 1}"
    )
    expected = {"asin": "B1", "title": "Men's \\d", "related": {"also": ["x"]}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(json_records(path, python_literals=True)) == [(1, expected), (2, {"b": 1})]
    with pytest.raises(ValueError, match="has no JSON object in row 1"):
        list(json_records(path))


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').getcwd()",
        "{'a': open}",
        "{'a': 1",
        "{[]: 1}",
        "{'a': " + "9" * 5000 + "}",
        "{'a': " + "(" * 5000,
        "{'a': " + "-" * 100_000 + "1}",
        "{'a': '\0'}",
        "{'a', 'b'}",
        "[1]",
    ],
)
def test_a_bad_literal_gets_one_line(path, line):
    path.write_text("{'asin': 'B1'}\n" + line)
    with pytest.raises(ValueError, match=r"reviews.json has .* in row 2") as caught:
        list(json_records(path, python_literals=True))
    assert "\n" not in str(caught.value)
