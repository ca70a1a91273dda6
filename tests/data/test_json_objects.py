"""One object a file: what is read, and one line for what is not."""

import pytest

from beamwise.data.json_objects import read_json_object


@pytest.fixture
def written(tmp_path):
    def write(content: bytes):
        (tmp_path / "a.json").write_bytes(content)
        return tmp_path / "a.json"

    return write


def test_an_object_is_read_in_its_order(written):
    content = '\ufeff{"b": "\\ud83d\\ude00", "a": [1]}'.encode()
    assert list(read_json_object(written(content), "things").items()) == [("b", "😀"), ("a", [1])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is cut short at line 1"),
        (b'{"a": "b', "is cut short at line 1"),
        (b"a,b", "is not JSON at line 1"),
        (b"[1]", "holds a list: an object of things is needed"),
        (b"{}", "holds an empty object: things are needed"),
        (b'{"a": 1, "a": 2}', "has the key 'a' twice"),
        (b'{"a": "\\ud800"}', "'a' holds half a surrogate pair"),
        (b'{"a": "\xff"}', "is not readable as JSON text"),
        (b'{"a":' + b"[" * 200_000, "is not readable as JSON text"),
    ],
)
def test_a_bad_file_gets_one_line(written, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_json_object(written(content), "things")
    assert "\n" not in str(caught.value)
    assert "a.json" in str(caught.value)


def test_a_missing_file_gets_one_line(tmp_path):
    with pytest.raises(ValueError, match="is not readable as JSON text"):
        read_json_object(tmp_path / "absent.json", "things")
