"""Datasets: checks, saving all or nothing, loading."""

from pathlib import Path

import polars as pl
import pytest

from beamwise.data.dataset import Dataset, read_items
from beamwise.data.interactions import Interactions


def interactions(items: list[str]) -> Interactions:
    num = len(items)
    times = pl.Series("timestamp", range(num), dtype=pl.Int64)
    return Interactions.from_table(
        pl.DataFrame({"user_id": ["a"] * num, "item_id": items}).with_columns(times)
    )


def dataset(titles: tuple[str | None, ...] = ("One", None), *, with_ids: bool = True) -> Dataset:
    ids = [f"i{n}" for n in range(len(titles))]
    items = pl.DataFrame(
        {"item_id": ids, "title": titles, "brand": ids}, schema_overrides={"title": pl.String}
    )
    codes = pl.Series("codes", [[n, 1] for n in range(len(titles))], dtype=pl.List(pl.Int32))
    semantic_ids = pl.DataFrame({"item_id": ids}).with_columns(codes)
    return Dataset(interactions(["i0"]), items, semantic_ids if with_ids else None)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("with_ids", [True, False])
def test_round_trip(tmp_path, with_ids):
    saved = dataset(with_ids=with_ids)
    saved.save(tmp_path / "deep" / "data")
    loaded = Dataset.load(tmp_path / "deep" / "data")
    assert loaded.interactions.table.equals(saved.interactions.table)
    assert loaded.items.equals(saved.items)
    assert (loaded.semantic_ids is not None) == with_ids
    if with_ids:
        assert loaded.semantic_ids.equals(saved.semantic_ids)
    assert names(tmp_path / "deep") == ["data"]


def test_a_previous_dataset_is_replaced_whole(tmp_path):
    dataset().save(tmp_path / "data")
    dataset(("Two",), with_ids=False).save(tmp_path / "data")
    assert names(tmp_path / "data") == ["interactions.parquet", "items.parquet"]
    assert Dataset.load(tmp_path / "data").items["title"].to_list() == ["Two"]
    assert names(tmp_path) == ["data"]


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"data holds 'thesis.txt'.*name another folder, or over"):
        dataset().save(tmp_path / "data")
    assert names(tmp_path / "data") == ["thesis.txt"]
    dataset().save(tmp_path / "data", overwrite=True)
    assert "thesis.txt" not in names(tmp_path / "data")


def test_an_empty_folder_is_filled_and_a_file_refused(tmp_path):
    (tmp_path / "data").mkdir()
    dataset().save(tmp_path / "data")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match=r"file is a file: name a folder"):
        dataset().save(tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    dataset().save(tmp_path / "data")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        dataset(("Two",)).save(tmp_path / "data")
    with pytest.raises(OSError, match="disk full"):
        dataset(("Two",)).save(tmp_path / "new")
    assert names(tmp_path) == ["data"]
    assert Dataset.load(tmp_path / "data").items["title"].to_list() == ["One", None]


def test_a_failed_rename_puts_the_previous_back(tmp_path, monkeypatch):
    dataset().save(tmp_path / "data")
    path_type = type(tmp_path)
    rename = path_type.rename

    def refuse_made(path, target):
        if path.name == "made":
            raise OSError("device busy")
        return rename(path, target)

    monkeypatch.setattr(path_type, "rename", refuse_made)
    with pytest.raises(OSError, match="device busy"):
        dataset(("Two",)).save(tmp_path / "data")
    assert names(tmp_path) == ["data"]
    assert Dataset.load(tmp_path / "data").items["title"].to_list() == ["One", None]


def test_load_errors(tmp_path):
    with pytest.raises(ValueError, match=r"no dataset folder at .*absent: run `beamwise prepare`"):
        Dataset.load(tmp_path / "absent")
    dataset().save(tmp_path / "data")
    (tmp_path / "data" / "semantic_ids.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match=r"semantic_ids.parquet is not readable"):
        Dataset.load(tmp_path / "data")
    dataset(("Two", "Three")).items.tail(1).write_parquet(tmp_path / "data" / "items.parquet")
    (tmp_path / "data" / "semantic_ids.parquet").unlink()
    with pytest.raises(ValueError, match=r"data: item 'i0' of the interactions is not among"):
        Dataset.load(tmp_path / "data")
    (tmp_path / "data" / "items.parquet").unlink()
    with pytest.raises(ValueError, match=r"no file at .*items.parquet"):
        Dataset.load(tmp_path / "data")


ITEMS = dataset().items
IDS = dataset().semantic_ids


@pytest.mark.parametrize(
    ("items", "semantic_ids", "message"),
    [
        (ITEMS.drop("title"), None, "items have no column 'title'.*got item_id, brand"),
        (ITEMS.cast({"item_id": pl.Categorical}), None, "'item_id' of the items.*cast it to Strin"),
        (pl.concat([ITEMS, ITEMS]), None, "item 'i0' stands more than once in the items"),
        (
            ITEMS.vstack(ITEMS.head(1).with_columns(item_id=pl.lit(None, pl.String))),
            None,
            "item_id is null in row 2 of the items",
        ),
        (ITEMS.tail(1), None, "item 'i0' of the interactions is not among the items"),
        (ITEMS.head(1), IDS, "item 'i1' of the semantic IDs is not among the items"),
        (ITEMS, IDS.cast({"codes": pl.List(pl.Int64)}), "'codes' of the semantic IDs.*cast it"),
        (ITEMS, IDS.drop("codes"), "semantic IDs have no column 'codes'"),
    ],
)
def test_refused(items, semantic_ids, message):
    with pytest.raises(ValueError, match=message) as caught:
        Dataset(interactions(["i0"]), items, semantic_ids)
    assert "\n" not in str(caught.value)


def test_embeddings_outlive_the_data_and_catalogs_do_not(tmp_path):
    dataset().save(tmp_path / "data")
    for name in ("catalog", "tokenizer", "embeddings"):
        (tmp_path / "data" / name).mkdir()
        (tmp_path / "data" / name / "file").write_text(name)
    with pytest.raises(ValueError, match=r"data holds a tokenizer fitted .*--like .*data` keeps"):
        dataset(with_ids=False).save(tmp_path / "data")
    assert (tmp_path / "data" / "tokenizer" / "file").exists()
    dataset(with_ids=False).save(tmp_path / "data", overwrite=True)
    assert names(tmp_path / "data") == ["embeddings", "interactions.parquet", "items.parquet"]
    assert (tmp_path / "data" / "embeddings" / "file").read_text() == "embeddings"


def test_items_are_read_without_interactions(tmp_path):
    dataset().save(tmp_path / "data")
    (tmp_path / "data" / "interactions.parquet").unlink()
    assert read_items(tmp_path / "data").equals(dataset().items)
    pl.DataFrame({"item_id": ["a"]}).write_parquet(tmp_path / "data" / "items.parquet")
    with pytest.raises(ValueError, match="data: items have no column 'title'"):
        read_items(tmp_path / "data")
    with pytest.raises(ValueError, match="no dataset folder"):
        read_items(tmp_path / "nothing")


def test_what_must_be_kept_is_never_removed(tmp_path, monkeypatch):
    (tmp_path / "data" / "raw").mkdir(parents=True)
    raw = tmp_path / "data" / "raw" / "log.csv"
    raw.write_text("kept")
    (tmp_path / "link.csv").symlink_to(raw)
    (tmp_path / "data" / "away.csv").symlink_to(tmp_path / "elsewhere.csv")
    inside = [raw, tmp_path / "link.csv", tmp_path / "data" / "away.csv", raw.parent]
    for path in inside:  # by its own name or through a link
        with pytest.raises(ValueError, match=r"data holds .*which is read and would be removed"):
            dataset().save(tmp_path / "data", overwrite=True, keep=[path])
    with pytest.raises(ValueError, match=r"raw is read and would be removed: name another folder"):
        dataset().save(raw.parent, overwrite=True, keep=[raw.parent])
    for here in (tmp_path / "data", raw.parent):
        monkeypatch.chdir(here)
        with pytest.raises(ValueError, match="is or holds the current working directory"):
            dataset().save(tmp_path / "data", overwrite=True)
    monkeypatch.chdir(tmp_path)
    assert raw.read_text() == "kept"
    dataset().save(tmp_path / "data", overwrite=True, keep=[tmp_path / "other.csv"])
    assert not raw.exists()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_interruption_of_the_replacement_leaves_what_was_there(tmp_path, monkeypatch, step):
    dataset().save(tmp_path / "data")
    (tmp_path / "data" / "embeddings").mkdir()
    (tmp_path / "data" / "embeddings" / "file").write_text("kept")
    moves = []

    def interrupted(self, target, move=Path.rename):
        moves.append(target)
        if len(moves) == step:
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dataset(("Two",)).save(tmp_path / "data")
    monkeypatch.undo()
    assert Dataset.load(tmp_path / "data").items["title"].to_list() == ["One", None]
    assert (tmp_path / "data" / "embeddings" / "file").read_text() == "kept"
    assert names(tmp_path) == ["data"]


def with_targets(position: int = 1) -> Dataset:
    """One user with two items, of which one is a published target."""
    columns = {"user_id": ["a"], "position": [position], "part": ["test"]}
    items = pl.DataFrame({"item_id": ["x", "y"], "title": ["X", "Y"]})
    return Dataset(interactions(["x", "y"]), items, targets=pl.DataFrame(columns))


def test_published_targets_are_kept_and_go_with_their_dataset(tmp_path):
    with_targets().save(tmp_path / "data")
    assert names(tmp_path / "data") == ["interactions.parquet", "items.parquet", "targets.parquet"]
    assert Dataset.load(tmp_path / "data").targets.rows() == [("a", 1, "test")]
    dataset(with_ids=False).save(tmp_path / "data")
    assert Dataset.load(tmp_path / "data").targets is None
    assert names(tmp_path / "data") == ["interactions.parquet", "items.parquet"]


def test_targets_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="position 2 in row 0 of the targets"):
        with_targets(2)
    with_targets().save(tmp_path / "data")
    path = tmp_path / "data" / "targets.parquet"
    pl.read_parquet(path).with_columns(part=pl.lit("exam")).write_parquet(path)
    with pytest.raises(ValueError, match=r"data: part 'exam' in row 0 of the targets"):
        Dataset.load(tmp_path / "data")
    path.write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match=r"targets.parquet is not readable as Parquet"):
        Dataset.load(tmp_path / "data")
