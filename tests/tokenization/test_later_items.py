"""Catalogs that follow an earlier one: known items keep their tokens, refusals change nothing."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import Dataset, read_items
from beamwise.tokenization import TitlesConfig, tokenize
from beamwise.tokenization.item_tokenizer import ItemTokenizer
from beamwise.tokenization.later_items import change_items, tokenize_like
from beamwise.tokenization.semantic_ids import SemanticIdsConfig
from beamwise.tokenization.title_tokenizer import TitleTokenizer
from beamwise.training.later_catalog import check_same_tokens

from .conftest import TITLES, contents, items_of

NEW = items_of({"n0": "blue pen", "n1": "red mug"})


@pytest.fixture
def data(prepare, small):
    folder = prepare()
    tokenize(folder, small)
    return folder


def last_version(folder):
    return json.loads((folder / "tokenizer" / "versions.jsonl").read_text().splitlines()[-1])


def test_items_are_added_at_the_end(data):
    before = Catalog.load(data / "catalog")
    told = []
    catalog = change_items(data, NEW, progress=lambda *work: told.append(work))
    assert told == [("embedding new items", 2, 2)]
    assert Catalog.load(data / "catalog").version == catalog.version
    assert catalog.item_ids.to_list() == [*TITLES, "n0", "n1"]
    check_same_tokens(catalog, before, data)
    assert catalog.vocab_size == before.vocab_size
    dataset = Dataset.load(data)
    assert dataset.items["title"].to_list() == [*TITLES.values(), "blue pen", "red mug"]
    line = {"version": catalog.version, "items": 26}
    assert last_version(data) == line | {"from": before.version, "added": 2, "retired": 0}
    again = change_items(data, items_of({"n2": "green jar"}))
    assert again.item_ids.to_list() == [*catalog.item_ids, "n2"]
    check_same_tokens(again, catalog, data)


def test_items_are_retired_and_added_at_once(data):
    before = contents(data)
    catalog = change_items(data, NEW, ["i03", "n1"])
    retired = catalog.item_ids.filter(pl.Series(catalog.retired.numpy())).to_list()
    assert retired == ["i03", "n1"]
    assert last_version(data)["retired"] == 2
    more = change_items(data, retired=["i04"])
    assert more.item_ids.filter(pl.Series(more.retired.numpy())).to_list() == ["i03", "i04", "n1"]
    assert last_version(data) == {
        "version": more.version, "items": 26, "from": catalog.version, "added": 0, "retired": 1,
    }  # fmt: skip
    assert contents(data)["interactions.parquet"] == before["interactions.parquet"]


def test_items_of_published_codes_can_be_retired_but_not_added(prepare):
    folder = prepare(codes=[[n // 6, n % 6] for n in range(24)])
    tokenize(folder, SemanticIdsConfig())
    catalog = change_items(folder, retired=["i00"])
    assert int(catalog.retired.sum()) == 1
    assert not (folder / "tokenizer").exists()
    before = contents(folder)
    with pytest.raises(ValueError, match="no fitted tokenizer at"):
        change_items(folder, NEW)
    assert contents(folder) == before


def test_columns_that_the_dataset_has_not_are_left_out(data):
    added = NEW.with_columns(pl.lit("Norvik").alias("brand")).select("brand", "title", "item_id")
    change_items(data, added)
    assert read_items(data).columns == ["item_id", "title"]


def test_columns_that_the_added_items_lack_are_null(data):
    items = read_items(data).with_columns(pl.lit(1.5).alias("price"))
    items.write_parquet(data / "items.parquet")
    change_items(data, NEW)
    assert read_items(data)["price"].to_list() == [1.5] * 24 + [None] * 2
    with pytest.raises(ValueError, match=r"'price' of the items to add is String, .* Float64"):
        change_items(data, items_of({"n3": "pen"}).with_columns(pl.lit("2").alias("price")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "no item to add, to retire or to restore"),
        ({"retired": ["i00", "zz"]}, "1 of the 2 items to retire are not in the catalog, as 'zz'"),
        ({"retired": list(TITLES)}, "all 24 items would be retired"),
        ({"added": items_of({"i05": "blue pen", "n": "pen"})}, "1 of the 2 items .* as 'i05'"),
        ({"added": items_of({"n": "quartz"})}, "'n' has no word that the embedding knows"),
        ({"added": items_of({"n": None})}, "'n' has no text"),
        ({"added": NEW, "retired": ["zz"]}, "to retire are not in the catalog"),
        ({"added": NEW, "overrides": ["end_token=true"]}, "was made with end_token=False"),
        ({"retired": ["i00"], "overrides": ["x=1"]}, "'x=1' is one for new items, and there are"),
    ],
)
def test_a_refusal_changes_nothing(data, change, message):
    before, told = contents(data), []
    with pytest.raises(ValueError, match=message):
        change_items(data, **change, progress=lambda *work: told.append(work))
    assert contents(data) == before
    if change.get("retired") == ["zz"]:
        assert told == []  # before the long work


def test_settings_for_new_items(data):
    catalog = change_items(data, items_of({"n": None}), overrides=["embedding.missing=blank"])
    assert catalog.num_items == 25
    assert ItemTokenizer.load(data / "tokenizer").config.embedding.missing == "refuse"


def test_folders_that_lack_something(data, tmp_path):
    with pytest.raises(ValueError, match="no dataset folder"):
        change_items(tmp_path / "nothing", retired=["a"])
    shutil.copytree(data, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "catalog")
    with pytest.raises(ValueError, match="no catalog at"):
        change_items(tmp_path / "copy", retired=["i00"])
    read_items(data)[1:].write_parquet(data / "items.parquet")
    with pytest.raises(ValueError, match=r"item 'i00' of the catalog has no row in items.parquet"):
        change_items(data, retired=["i01"])


@pytest.mark.parametrize("failing", range(6))
def test_a_change_that_fails_half_way_is_taken_back(data, monkeypatch, failing):
    before = contents(data)
    path_type, real, moves = type(data), type(data).rename, []

    def rename(path, target):
        moves.append(path)
        if len(moves) == failing + 1:
            raise OSError("device busy")
        return real(path, target)

    monkeypatch.setattr(path_type, "rename", rename)
    with pytest.raises(OSError, match="device busy"):
        change_items(data, NEW, ["i00"])
    monkeypatch.undo()
    assert contents(data) == before
    assert change_items(data, NEW, ["i00"]).num_items == 26


@pytest.mark.parametrize("has_run", [False, True])
def test_another_dataset_by_the_same_tokenizer(prepare, data, tmp_path, has_run):
    other = data
    if has_run:  # a run folder has catalog and tokenizer, and no items
        other = tmp_path / "run"
        for name in ("catalog", "tokenizer"):
            shutil.copytree(data / name, other / name)
    known = Catalog.load(data / "catalog").with_retired(["i04", "i23"])
    known.save(other / "catalog")
    titles = {"n1": "red mug", **dict(list(TITLES.items())[:20:2])}
    later = prepare("later", titles)
    catalog = tokenize_like(later, other)
    assert Catalog.load(later / "catalog").version == catalog.version
    assert catalog.item_ids.to_list() == list(titles)
    assert catalog.item_ids.filter(pl.Series(catalog.retired.numpy())).to_list() == ["i04"]
    check_same_tokens(catalog, known, later)
    line = {"version": catalog.version, "items": 11, "like": known.version, "added": 1}
    assert last_version(later) == line
    assert change_items(later, items_of({"n9": "black jar"})).num_items == 12  # it has all it needs


def test_like_itself_nothing_changes(data):
    before = Catalog.load(data / "catalog").version
    assert tokenize_like(data, data).version == before


@pytest.mark.parametrize(
    ("titles", "overrides", "message"),
    [
        ({"n": "quartz"}, [], "'n' has no word that the embedding knows"),
        (TITLES, ["end_token=true"], "was made with end_token=False"),
    ],
)
def test_a_dataset_that_cannot_be_tokenized_so_stays(prepare, data, titles, overrides, message):
    later = prepare("later", titles)
    before = contents(later)
    with pytest.raises(ValueError, match=message):
        tokenize_like(later, data, overrides)
    assert contents(later) == before


def test_without_a_tokenizer_nothing_is_like_it(prepare, data, tmp_path):
    later = prepare("later")
    with pytest.raises(ValueError, match=r"no fitted tokenizer at .*nothing"):
        tokenize_like(later, tmp_path / "nothing")
    shutil.rmtree(data / "catalog")
    with pytest.raises(ValueError, match="no catalog at"):
        tokenize_like(later, data)
    with pytest.raises(ValueError, match="no dataset folder"):
        tokenize_like(tmp_path / "nothing", data)


def test_retired_items_are_restored(data):
    change_items(data, retired=["i03", "i04", "i05"])
    catalog = change_items(data, NEW, ["i00"], restored=["i03", "i05"])
    assert catalog.retired_ids.to_list() == ["i00", "i04"]
    assert Catalog.load(data / "catalog").version == catalog.version
    line = last_version(data)
    assert (line["added"], line["retired"], line["restored"]) == (2, 1, 2)


FILES = {name: Path(f"{name}.csv") for name in ("added", "retired", "restored")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"restored": ["i04", "i00"]}, "restored.csv, row 2: 1 of the 2 items to restore are not"),
        ({"restored": ["zz"]}, "restored.csv, row 1: 1 of the 1 items to restore are not retired"),
        ({"restored": ["i04"], "retired": ["i04"]}, "row 1: 1 of the 1 .* are to be retired too"),
        ({"retired": ["i00", "zz"]}, "retired.csv, row 2: 1 of the 2 items to retire are not in"),
        ({"added": items_of({"n": "pen", "i05": "pen"})}, "added.csv, row 2: 1 of the 2 items to"),
        ({"added": items_of({"i04": "pen"})}, "row 1: .*retired, as 'i04': put .* with --restore"),
        ({"added": items_of({"n": "quartz"})}, r"^added.csv: item 'n' has no word .* other words"),
        ({"added": items_of({"n": None})}, r"^added.csv: item 'n' has no text .* give it a title"),
    ],
)
def test_errors_name_the_file_and_the_row(data, change, message):
    change_items(data, retired=["i04"])
    before = contents(data)
    with pytest.raises(ValueError, match=message):
        change_items(data, **change, files=FILES)
    assert contents(data) == before


def test_what_is_not_tokenized_is_said_to_need_it(prepare):
    folder = prepare()
    with pytest.raises(ValueError, match=f"run `beamwise tokenize {folder}` first"):
        change_items(folder, NEW)


def test_retired_items_stay_so_when_all_are_tokenized_anew(data, small, prepare):
    change_items(data, retired=["i03", "i04"])
    assert tokenize(data, small).catalog.retired_ids.to_list() == ["i03", "i04"]
    assert Catalog.load(data / "catalog").retired_ids.to_list() == ["i03", "i04"]
    items = read_items(data).filter(pl.col("item_id") != "i03")
    items.write_parquet(data / "items.parquet")
    assert tokenize(data, small).catalog.retired_ids.to_list() == ["i04"]
    later = prepare("later")
    tokenize(later, small)
    change_items(later, retired=["i10"])
    assert tokenize_like(later, data).retired_ids.to_list() == ["i04", "i10"]


def test_a_damaged_catalog_is_not_tokenized_over(data, small):
    (data / "catalog" / "catalog.json").write_text("{")
    before = contents(data)
    with pytest.raises(ValueError, match=r"says which items are retired, so remove .*/catalog"):
        tokenize(data, small)
    assert contents(data) == before


@pytest.fixture
def titled(prepare):
    """A dataset whose items are their titles."""
    folder = prepare()
    tokenize(folder, TitlesConfig(vocab_size=300))
    return folder


def test_titles_are_added_and_retired(titled):
    before = Catalog.load(titled / "catalog")
    longer = items_of({"n1": "a purple lamp of another size", "n2": "blue pen"})
    catalog = change_items(titled, longer, ["i03"])
    assert Catalog.load(titled / "catalog").version == catalog.version
    tokenizer = TitleTokenizer.load(titled / "tokenizer")
    assert tokenizer.titles_of(catalog) == read_items(titled)["title"].to_list()
    assert catalog.retired_ids.to_list() == ["i03"]
    assert catalog.vocab_size == before.vocab_size
    shared = catalog.leaf_of_item[catalog.indices_of(["i00", "n2"])].tolist()
    assert shared[0] == shared[1]  # of equal titles
    assert last_version(titled)["added"] == 2
    files = contents(titled)
    with pytest.raises(ValueError, match="item 'n3' has no title"):
        change_items(titled, items_of({"n3": None}))
    with pytest.raises(ValueError, match="titles have no setting that may change"):
        change_items(titled, items_of({"n3": "x"}), overrides=["answer=x"])
    assert contents(titled) == files


def test_another_dataset_gets_titles_by_the_same_tokens(titled, prepare):
    other = prepare("other", {"x": "green mug", "i05": "another name", "y": "ünknown"})
    catalog = tokenize_like(other, titled)
    tokenizer = TitleTokenizer.load(other / "tokenizer")
    known = Catalog.load(titled / "catalog")
    assert tokenizer.titles_of(catalog) == ["green mug", TITLES["i05"], "ünknown"]
    assert (catalog.vocab_size, catalog.end_token) == (known.vocab_size, known.end_token)
