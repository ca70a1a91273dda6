"""Files of vectors: golden in every format, one line for everything that can be wrong."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.embeddings.vector_file import read_vectors

VECTORS = [[1.0, 2.5], [-3.0, 0.0]]


def write(folder, content, name="v.parquet"):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, str):
        path.write_text(content)
    else:
        pl.DataFrame(content).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.npy", np.array(VECTORS)),
        ("v.npy", np.asfortranarray(np.array(VECTORS, dtype=np.float16))),
        ("v.parquet", {"item_id": ["a", "07"], "vector": VECTORS}),
        ("v.parquet", {"vector": pl.Series(VECTORS, dtype=pl.Array(pl.Float32, 2)),
                       "item_id": ["a", "07"], "more": ["x", "y"]}),
        ("v.parquet", {"item_id": ["a", "07"], "x": [1, -3], "y": [2.5, 0.0]}),
        ("v.csv", "x,item_id,y\n1,a,2.5\n-3e0,07,0\n"),
        ("v.CSV", "item_id,x,y\na,1,2.5\n07,-3,0\n"),
    ],
)  # fmt: skip
def test_golden(tmp_path, name, content):
    item_ids, vectors = read_vectors(write(tmp_path, content, name))
    assert vectors.dtype == np.float32
    assert vectors.flags.writeable
    np.testing.assert_array_equal(vectors, VECTORS)
    assert (None if item_ids is None else item_ids.to_list()) == (
        None if name == "v.npy" else ["a", "07"]
    )


def test_ids_that_are_whole_numbers_become_text(tmp_path):
    item_ids, _ = read_vectors(write(tmp_path, {"item_id": [7, 12], "x": [1.0, 2.0]}))
    assert item_ids.to_list() == ["7", "12"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", "", "is no .npy, .parquet or .csv file"),
        ("v.npy", b"", "is no .npy file of numbers"),
        ("v.npy", b"\x93NUMPY\x01\x00", "is no .npy file of numbers"),
        ("v.npy", np.array([["a"]], dtype=object), "is no .npy file of numbers"),
        ("v.npy", np.array([["a"]]), r"holds <U1 of shape \(1, 1\): write real numbers of shape"),
        ("v.npy", np.zeros(3), r"holds float64 of shape \(3,\)"),
        ("v.npy", np.zeros((1, 1), dtype=complex), "holds complex128"),
        ("v.npy", np.array([[1, 2], [3, np.nan]]), "row 2, column '2': nan is not a finite number"),
        ("v.npy", np.array([[1e39]]), "row 1, column '1': 1e[+]39 is not a finite number of 32"),
        ("v.parquet", b"PAR1", "is not readable as Parquet"),
        ("v.parquet", {"id": ["a"], "x": [1.0]}, "has the columns id, x and 1 rows: give it item"),
        ("v.parquet", {"item_id": ["a"]}, "has the columns item_id and 1 rows"),
        ("v.parquet", {"item_id": [], "x": []}, "and 0 rows"),
        ("v.parquet", {"item_id": ["a", "b", "a"], "x": [1, 2, 3]}, "row 3, .*'a' is not new"),
        ("v.parquet", {"item_id": ["a", None], "x": [1, 2]}, "row 2, column 'item_id': null"),
        ("v.parquet", {"item_id": ["", "b"], "x": [1, 2]}, "row 1, column 'item_id': '' is not an"),
        ("v.parquet", {"item_id": [1.5], "x": [1]}, "1.5 is not text or a whole number"),
        ("v.parquet", {"item_id": ["a"], "x": ["1"]}, "row 1, column 'x': '1' is not a number"),
        ("v.parquet", {"item_id": ["a", "b"], "x": [1, None]}, "row 2, column 'x': null is not"),
        ("v.parquet", {"item_id": ["a", "b"], "x": [1, 2], "y": [1.0, np.inf]},
         "row 2, column 'y': inf is not a finite number"),
        ("v.parquet", {"item_id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]},
         r"row 2, column 'vector': \[1.0, 2.0\] is not a list of numbers as long as the first, 1"),
        ("v.parquet", {"item_id": ["a", "b"], "vector": [[1.0], None]}, "row 2, .*null is not a"),
        ("v.parquet", {"item_id": ["a", "b"], "vector": [[1.0], [None]]}, r"row 2, .*\[None\] is"),
        ("v.parquet", {"item_id": ["a", "b"], "vector": [[1.0], [np.nan]]}, "row 2, .*nan is not"),
        ("v.parquet", {"item_id": ["a"], "vector": [[]]}, "row 1, column 'vector'"),
        ("v.parquet", {"item_id": ["a", "b"], "vector": [None, [1.0]]}, "row 1, .*null is not a"),
        ("v.parquet", {"item_id": ["a"], "vector": [["x"]]}, "row 1, .*is not a list of numbers"),
        ("v.csv", "item_id,x\na,1\nb,one\n", "row 2, column 'x': 'one' is not a number"),
        ("v.csv", "item_id,x\na,\n", "row 1, column 'x': null is not a number"),
        ("v.csv", "item_id,x\na,1\nb,nan\n", "row 2, column 'x': nan is not a finite number"),
        ("v.csv", "item_id,vector\na,\"[1, 2]\"\n", r"column 'vector': '\[1, 2\]' is not a number"),
        ("v.csv", "", "is not readable as csv"),
        ("v.csv", "a,b\n1,2,3\n", "is not readable as csv|has the columns"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_line(tmp_path, name, content, message):
    if isinstance(content, np.ndarray) and content.dtype == object:
        np.save(tmp_path / name, content, allow_pickle=True)
        path = tmp_path / name
    else:
        path = write(tmp_path, content, name)
    with pytest.raises(ValueError, match=f"{name}.*({message})") as caught:
        read_vectors(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"absent.npy is not there: give the path"):
        read_vectors(tmp_path / "absent.npy")


@given(content=st.binary(max_size=200), suffix=st.sampled_from(["npy", "parquet", "csv"]))
def test_any_bytes_are_vectors_or_one_line(tmp_path_factory, content, suffix):
    starts = {"npy": b"\x93NUMPY\x01\x00", "parquet": b"PAR1", "csv": b"item_id,x\n"}
    path = write(tmp_path_factory.getbasetemp(), starts[suffix] + content, f"fuzz.{suffix}")
    try:
        _, vectors = read_vectors(path)
    except ValueError as error:
        message = str(error)
        vectors = np.zeros((1, 1))
    else:
        message = ""
    assert "\n" not in message
    assert np.isfinite(vectors).all()
