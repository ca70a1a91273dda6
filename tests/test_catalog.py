"""The catalog: hand-worked trees, a dict trie as oracle, and folders that were tampered with."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog

Path = tuple[int, ...]


def golden() -> Catalog:
    # Leaves in order: (2 2) of item 2, (2 3) of items 1 and 3, (3 3) of item 0.
    # Nodes: 0 root; 1 = (2), 2 = (3); 3 = (2 2), 4 = (2 3), 5 = (3 3).
    return Catalog.from_tokens([[3, 3], [2, 3], [2, 2], [2, 3]], item_ids=["a", "b", "c", "d"])


def titles() -> Catalog:
    # Paths: 5 1, 5 5 1 and 7 1; what stands past a length is padding, whatever it is.
    tokens = [[5, 9, -1], [5, 5, 1], [7, -7, 8]]
    return Catalog.from_tokens(tokens, lengths=[1, 2, 1], vocab_size=10)


def test_golden_tree():
    catalog = golden()
    assert catalog.level_start == (0, 1, 3, 6)
    assert catalog.child_start.tolist() == [0, 2, 4, 5, 5, 5, 5]
    assert catalog.child_token.tolist() == [2, 3, 2, 3, 3]
    assert catalog.child_node.tolist() == [1, 2, 3, 4, 5]
    assert catalog.leaf_start.tolist() == [0, 0, 2, 0, 1, 2]
    assert catalog.leaf_stop.tolist() == [3, 2, 3, 1, 2, 3]
    assert catalog.leaf_tokens.tolist() == [[2, 2], [2, 3], [3, 3]]
    assert catalog.leaf_nodes.tolist() == [[1, 3], [1, 4], [2, 5]]
    assert catalog.leaf_of_item.tolist() == [2, 1, 0, 1]
    assert catalog.leaf_item_start.tolist() == [0, 1, 3, 4]
    assert catalog.leaf_items.tolist() == [2, 1, 3, 0]
    sizes = (catalog.num_items, catalog.num_leaves, catalog.num_levels, catalog.num_nodes)
    assert sizes == (4, 3, 2, 6)
    assert (catalog.vocab_size, catalog.end_token) == (4, None)


def test_golden_titles_end_with_the_end_token():
    catalog = titles()
    # Nodes: 1 = (5), 2 = (7); 3 = (5 1), 4 = (5 5), 5 = (7 1); 6 = (5 5 1).
    assert catalog.leaf_tokens.tolist() == [[5, 1, -1], [5, 5, 1], [7, 1, -1]]
    assert catalog.leaf_nodes.tolist() == [[1, 3, -1], [1, 4, 6], [2, 5, -1]]
    assert catalog.level_start == (0, 1, 3, 6, 7)
    assert catalog.is_leaf(torch.arange(7)).tolist() == [False] * 3 + [True, False, True, True]
    assert catalog.end_token == 1


def test_queries_on_the_golden_tree():
    catalog = golden()
    children = catalog.children(torch.tensor([2, 5, 1]))
    assert children.owner.tolist() == [0, 2, 2]
    assert children.tokens.tolist() == [3, 2, 3]
    assert children.nodes.tolist() == [5, 3, 4]
    legal = catalog.legal_tokens(torch.tensor([2, 5, 1]))
    assert (legal.values.tolist(), legal.offsets.tolist()) == ([3, 2, 3], [0, 1, 1, 3])
    items = catalog.items_of(torch.tensor([1, 2]))
    assert (items.values.tolist(), items.offsets.tolist()) == ([1, 3, 0], [0, 2, 3])
    assert catalog.num_items_below(torch.arange(6)).tolist() == [4, 3, 1, 1, 2, 1]
    prefixes = torch.tensor([[2, 3], [3, 2], [3, -1], [-1, -1]])
    assert catalog.find(prefixes).tolist() == [4, -1, 2, 0]


def test_golden_runs_of_forced_tokens():
    # 5 branches into its end (5 1) and 5 5, whose leaf is 5 5 1; 7 leads to the leaf 7 1 alone.
    catalog = titles()
    nodes = torch.arange(7)
    assert catalog.run_stop.tolist() == [0, 1, 5, 3, 6, 5, 6]
    assert catalog.num_children(nodes).tolist() == [2, 2, 1, 0, 1, 0, 0]
    assert catalog.depth_of(nodes.view(1, 7)).tolist() == [[0, 1, 1, 2, 2, 2, 3]]
    # Paths of 2, 3 and 2 tokens; the first two branch at the root and at 5, the last at the root.
    assert catalog.path_shape == (7 / 3, 5 / 3, 2)
    one = Catalog.from_tokens([[3, 2, 4]])
    assert one.run_stop.tolist() == [3, 3, 3, 3]
    assert one.path_shape == (3.0, 0.0, 0)


def test_a_token_past_the_vocabulary_is_not_found():
    # Keys are node * vocab_size + token: 4 tokens, so (2, 4 + 3) would alias the edge (3, 3).
    assert golden().find(torch.tensor([[2, 7], [6, 2]])).tolist() == [-1, -1]


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[list[list[int]], list[int] | None]:
    num_levels = draw(st.integers(1, 4))
    row = st.lists(st.integers(2, 5), min_size=num_levels, max_size=num_levels)
    rows = draw(st.lists(row, min_size=1, max_size=15))
    if draw(st.booleans()):
        return rows, None
    return rows, [draw(st.integers(1, num_levels)) for _ in rows]


@settings(max_examples=300, deadline=None)
@given(drawn=catalogs())
def test_equals_a_dict_trie(drawn):
    rows, lengths = drawn
    catalog = Catalog.from_tokens(rows, lengths)
    paths = [tuple(row) for row in rows]
    if lengths is not None:
        paths = [(*row[:n], 1) for row, n in zip(rows, lengths, strict=True)]
    prefixes = sorted({path[:d] for path in paths for d in range(len(path) + 1)})
    prefixes.sort(key=len)
    width = catalog.num_levels
    padded = torch.tensor([[*prefix, *[-1] * (width - len(prefix))] for prefix in prefixes])
    assert (
        catalog.find(padded).tolist()
        == list(range(len(prefixes)))
        == list(range(catalog.num_nodes))
    )
    nodes = torch.arange(catalog.num_nodes)
    below = [sum(path[: len(prefix)] == prefix for path in paths) for prefix in prefixes]
    assert catalog.num_items_below(nodes).tolist() == below
    edges = [
        (owner, child[-1], prefixes.index(child))
        for owner, prefix in enumerate(prefixes)
        for child in prefixes
        if len(child) == len(prefix) + 1 and child[:-1] == prefix
    ]
    assert list(zip(*(x.tolist() for x in catalog.children(nodes)), strict=True)) == edges
    legal = catalog.legal_tokens(nodes)
    assert legal.values.tolist() == [token for _, token, _ in edges]
    assert legal.offsets.diff().tolist() == [sum(e[0] == n for e in edges) for n in nodes]
    children = [[child for child in prefixes if child and child[:-1] == p] for p in prefixes]
    assert catalog.num_children(nodes).tolist() == [len(below) for below in children]
    assert catalog.depth_of(nodes).tolist() == [len(prefix) for prefix in prefixes]
    for node, stop in enumerate(catalog.run_stop.tolist()):
        while len(children[node]) == 1:
            node = prefixes.index(children[node][0])
        assert stop == node
    leaves = sorted(set(paths))
    sharing = catalog.items_of(torch.arange(catalog.num_leaves))
    assert sharing.values.tolist() == [
        i for leaf in leaves for i, p in enumerate(paths) if p == leaf
    ]
    assert sharing.offsets.diff().tolist() == [paths.count(leaf) for leaf in leaves]


@settings(deadline=None)
@given(drawn=catalogs(), order=st.randoms(use_true_random=False))
def test_the_tree_does_not_depend_on_the_order_of_items(drawn, order):
    rows, lengths = drawn
    places = list(range(len(rows)))
    order.shuffle(places)
    shuffled = [rows[i] for i in places]
    moved = Catalog.from_tokens(shuffled, lengths and [lengths[i] for i in places])
    catalog = Catalog.from_tokens(rows, lengths)
    assert torch.equal(moved.leaf_tokens, catalog.leaf_tokens)
    assert torch.equal(moved.child_start, catalog.child_start)
    assert torch.equal(moved.leaf_of_item, catalog.leaf_of_item[places])


def test_from_codes_offsets_by_level():
    codes = np.array([[0, 2], [1, 0]])
    catalog = Catalog.from_codes(codes, codebook_size=3, item_ids=["x", "y"])
    assert catalog.leaf_tokens.tolist() == [[2, 7], [3, 5]]
    assert (catalog.vocab_size, catalog.end_token) == (8, None)
    ended = Catalog.from_codes(codes, codebook_size=3, end_token=True)
    assert ended.leaf_tokens.tolist() == [[2, 7, 1], [3, 5, 1]]
    assert (ended.vocab_size, ended.end_token) == (8, 1)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 3]], r"code 3 is outside 0\.\.2"),
        ([[0, -1]], r"code -1 is outside 0\.\.2"),
        ([[]], "codes must be"),
    ],
)
def test_from_codes_refuses(codes, message):
    with pytest.raises(ValueError, match=message):
        Catalog.from_codes(np.array(codes, dtype=np.int64), codebook_size=3)


@settings(max_examples=50, deadline=None)
@given(ids=st.lists(st.text(max_size=3), min_size=1, max_size=8, unique=True), data=st.data())
def test_ids_lead_back_to_items(ids, data):
    catalog = Catalog.from_tokens([[2]] * len(ids), item_ids=ids)
    asked = data.draw(st.lists(st.sampled_from(ids), max_size=5))
    assert catalog.indices_of(asked).tolist() == [ids.index(name) for name in asked]


def test_unknown_ids_are_named():
    with pytest.raises(ValueError, match=r"2 item id\(s\) not in the catalog: 'e', ''") as error:
        golden().indices_of(["e", "a", "", "e"])
    assert "\n" not in str(error.value)


def test_ids_are_indices_where_not_given():
    assert Catalog.from_tokens([[2], [3]]).item_ids.to_list() == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": np.empty((0, 2), np.int64)}, r"tokens must be integers .* got int64 of shape"),
        ({"tokens": np.ones((1, 2))}, "got float64"),
        ({"tokens": [[2, -1]]}, "token -1 is negative: give `lengths`"),
        ({"tokens": [[2**31]]}, "token 2147483648 does not fit 32 bits"),
        ({"tokens": [[2, -1]], "lengths": [2]}, "token -1 is negative: tokens are >= 0"),
        ({"tokens": [[2]], "lengths": [0]}, r"length 0 is outside 1\.\.1"),
        ({"tokens": [[2]], "lengths": [2]}, r"length 2 is outside 1\.\.1"),
        ({"tokens": [[2]], "lengths": [1, 1]}, r"lengths must be integers of shape \(1,\)"),
        ({"tokens": [[2]], "lengths": np.ones(1)}, "got float64 of shape"),
        ({"tokens": [[2]], "lengths": [1], "end_token": -1}, "end_token must be >= 0, got -1"),
        ({"tokens": [[2], [3]], "item_ids": ["a"]}, "1 item_ids for 2 items"),
        ({"tokens": [[2], [3]], "item_ids": ["a", "a"]}, "item id 'a' stands more than once"),
        ({"tokens": [[2]], "vocab_size": 2}, "vocab_size must be >= 3 to hold token 2, got 2"),
        (
            {"tokens": [[5, 0], [5, 1], [5, 7]], "lengths": [1, 1, 2], "end_token": 7},
            None,
        ),
        (
            {"tokens": [[5, 1, 6], [5, 0, 0]], "lengths": [3, 1]},
            r"the path \[5, 1\] is the beginning of another item's: choose an end_token",
        ),
    ],
)
def test_from_tokens_refuses(arguments, message):
    if message is None:
        message = r"the path \[5, 7\] is the beginning"
    with pytest.raises(ValueError, match=message) as error:
        Catalog.from_tokens(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [golden, titles])
def test_load_gives_what_was_saved(tmp_path, make):
    catalog = make()
    catalog.save(tmp_path / "new" / "catalog")
    loaded = Catalog.load(tmp_path / "new" / "catalog")
    assert loaded.version == catalog.version
    assert loaded.item_ids.to_list() == catalog.item_ids.to_list()
    assert (loaded.vocab_size, loaded.end_token) == (catalog.vocab_size, catalog.end_token)
    for name in ("child_start", "child_token", "leaf_tokens", "leaf_nodes", "leaf_items"):
        assert torch.equal(getattr(loaded, name), getattr(catalog, name))


def test_version_follows_the_content():
    rows, ids = [[2, 3], [3, 2]], ["a", "b"]
    versions = {
        Catalog.from_tokens(rows, item_ids=ids).version,
        Catalog.from_tokens(rows[::-1], item_ids=ids).version,
        Catalog.from_tokens(rows, item_ids=ids[::-1]).version,
        Catalog.from_tokens(rows, item_ids=ids, vocab_size=9).version,
        Catalog.from_tokens(rows, [2, 2], item_ids=ids).version,
        Catalog.from_tokens([[2, 3, 3, 2]], item_ids=["a\x00b"]).version,
    }
    assert len(versions) == 6
    assert Catalog.from_tokens(rows, item_ids=ids).version in versions


def test_retired_items_make_another_version_and_come_back(tmp_path):
    catalog = golden().with_retired(["b"]).with_retired(["d"])
    assert catalog.retired is not None
    assert catalog.retired.tolist() == [False, True, False, True]
    assert catalog.version not in {golden().version, golden().with_retired(["b"]).version}
    catalog.save(tmp_path)
    again = Catalog.load(tmp_path)
    assert again.version == catalog.version
    assert again.retired is not None
    assert again.retired.tolist() == [False, True, False, True]
    assert golden().with_retired([]).version == golden().version


def test_retired_items_are_restored():
    catalog = golden().with_retired(["b", "d"])
    assert catalog.retired_ids.to_list() == ["b", "d"]
    some = catalog.with_restored(["d"])
    assert some.retired_ids.to_list() == ["b"]
    assert some.version == golden().with_retired(["b"]).version
    assert catalog.retired_ids.to_list() == ["b", "d"]  # as it was
    whole = some.with_restored(["b"])
    assert whole.retired is None
    assert whole.version == golden().version
    assert golden().retired_ids.to_list() == []
    with pytest.raises(ValueError, match="item 'a' is not retired: leave it out"):
        catalog.with_restored(["b", "a"])
    with pytest.raises(ValueError, match="item 'b' is not retired"):
        golden().with_restored(["b"])
    with pytest.raises(ValueError, match="'z'"):
        catalog.with_restored(["z"])


def test_a_catalog_keeps_something_to_recommend():
    with pytest.raises(ValueError, match="all 4 items would be retired"):
        golden().with_retired(["a", "b"]).with_retired(["c", "d"])
    with pytest.raises(ValueError, match="'z'"):
        golden().with_retired(["z"])


def test_edges_that_another_catalog_lacks_are_unseen():
    # Trained: 2-2 and 3-3. Later: also 2-3 (twice) and 4-2. Edges in order: 2, 3, 4 from the root;
    # 2-2, 2-3; 3-3; 4-2.
    trained = Catalog.from_tokens([[2, 2], [3, 3]], vocab_size=5)
    later = Catalog.from_tokens([[3, 3], [2, 3], [2, 2], [2, 3], [4, 2]], vocab_size=5)
    seen = later.seen_from(trained)
    assert seen.unseen is not None
    assert seen.unseen.tolist() == [False, False, True, False, True, False, True]
    assert seen.version == later.version
    assert trained.seen_from(later).unseen is None
    assert later.seen_from(later).unseen is None


def test_unseen_edges_of_paths_of_several_lengths():
    trained = Catalog.from_tokens([[5, 9], [7, 8]], lengths=[1, 2], vocab_size=10)
    later = Catalog.from_tokens([[5, 9], [5, 6], [7, 8]], lengths=[1, 2, 2], vocab_size=10)
    seen = later.seen_from(trained)
    assert seen.unseen is not None
    new = [seen.child_token[edge].item() for edge in seen.unseen.nonzero().flatten().tolist()]
    assert new == [6, 1]  # 5-6 and the end after it


def damaged(folder, damage: str) -> None:
    description = json.loads((folder / "catalog.json").read_text())
    table = pl.read_parquet(folder / "tokens.parquet")
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "no table":
        (folder / "tokens.parquet").unlink()
    elif damage == "cut table":
        whole = (folder / "tokens.parquet").read_bytes()
        (folder / "tokens.parquet").write_bytes(whole[: len(whole) // 2])
    elif damage == "fewer rows":
        table.head(3).write_parquet(folder / "tokens.parquet")
    elif damage == "no rows":
        table.head(0).write_parquet(folder / "tokens.parquet")
    elif damage == "other column":
        table.select("item_id").write_parquet(folder / "tokens.parquet")
    elif damage == "lists":
        table.with_columns(pl.col("tokens").arr.to_list()).write_parquet(folder / "tokens.parquet")
    elif damage == "other ids":
        table.rename({"item_id": "id"}).write_parquet(folder / "tokens.parquet")
    elif damage == "torn table":  # the footer is whole, what it describes is not
        content = (folder / "tokens.parquet").read_bytes()
        (folder / "tokens.parquet").write_bytes(content[:4] + bytes(100) + content[104:])
    elif damage == "retired":
        table.with_columns(retired=pl.lit("no")).write_parquet(folder / "tokens.parquet")
    elif damage == "not json":
        (folder / "catalog.json").write_text("{")
    elif damage == "not a mapping":
        (folder / "catalog.json").write_text("[1]")
    else:
        key, value = damage.split("=")
        description[key] = json.loads(value)
        (folder / "catalog.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("gone", "no catalog at .* catalog.json is missing"),
        ("no table", "no file at .*tokens.parquet: write the catalog again"),
        ("cut table", "tokens.parquet is not readable"),
        ("fewer rows", "was changed or cut short"),
        ("no rows", "holds no arrays of int32 tokens"),
        ("other column", "tokens.parquet holds no arrays of int32 tokens"),
        ("other ids", "tokens.parquet does not name its items"),
        ("torn table", "tokens.parquet is not readable as Parquet"),
        ("lists", "holds no arrays of int32 tokens"),
        ("retired", "retired is not true or false everywhere"),
        ("not json", "does not describe a catalog"),
        ("not a mapping", "does not describe a catalog"),
        ("format=99", "has format 99, this version reads 1"),
        ("vocab_size=5", "was changed or cut short"),
        ('vocab_size="4"', "vocab_size and end_token must be integers"),
        ("end_token=2", "was changed or cut short"),
        ('version="0"', "catalog.json says 0"),
    ],
)
def test_load_refuses_a_damaged_folder(tmp_path, damage, message):
    folder = tmp_path / "catalog"
    golden().save(folder)
    damaged(folder, damage)
    with pytest.raises(ValueError, match=message) as error:
        Catalog.load(folder)
    assert "\n" not in str(error.value)


def test_to_moves_every_array():
    moved = golden().to("meta")
    assert moved.device.type == "meta"
    assert moved.leaf_items.device.type == "meta"
    assert golden().to("cpu").version == golden().version
