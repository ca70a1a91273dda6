import shutil

import polars as pl
import pytest
import torch

from beamwise import Catalog
from beamwise.data.dataset import Dataset
from beamwise.data.splitting import ByTimeConfig
from beamwise.data.window_splits import PublishedConfig
from beamwise.tokenization import QuantizedConfig, TitlesConfig, tokenize
from beamwise.tokenization.embeddings import CoOccurrenceConfig
from beamwise.tokenization.quantizers import RQKMeansConfig
from beamwise.training.config import DataConfig
from beamwise.training.run_data import RunData


def test_parts_share_the_catalogs_items(shop_folder):
    data = RunData.load(DataConfig(folder=shop_folder, max_history=5))
    assert data.items["item_id"].to_list() == data.catalog.item_ids.to_list()
    assert len(data.test) == len(data.validation) == len(data.user_ids) == 60
    histories = data.test.histories(torch.arange(60))
    assert histories.shape[1] == 5
    assert int(histories.max()) < data.catalog.num_items


def test_the_split_is_a_setting(shop_folder):
    left_out = RunData.load(DataConfig(folder=shop_folder))
    timed = RunData.load(DataConfig(folder=shop_folder, split=ByTimeConfig(test=0.2)))
    total = len(left_out.train) + len(left_out.validation) + len(left_out.test)
    assert len(timed.train) + len(timed.validation) + len(timed.test) == total
    assert len(timed.test) == round(0.2 * total)
    assert len(left_out.train_sequences.items) == total - 60  # and the first items, without 2 each
    parts = (timed.train_sequences, left_out.train_sequences)
    assert all(part.user_ids.equals(timed.user_ids) for part in parts)
    counted = timed.train_sequences.starts.diff()
    assert int((counted - 1).clamp(min=0).sum()) == len(timed.train)


def test_the_version_is_that_of_all_that_training_and_tests_depend_on(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    config = DataConfig(folder=copy)
    version = RunData.load(config).version
    assert RunData.load(DataConfig(folder=shop_folder)).version == version
    others = [
        RunData.load(DataConfig(folder=copy, max_history=3)).version,
        RunData.load(DataConfig(folder=copy, split=ByTimeConfig())).version,
    ]
    table = pl.read_parquet(copy / "interactions.parquet")
    swapped = table.with_columns(
        item_id=pl.when(pl.int_range(pl.len()) < 2)
        .then(pl.col("item_id").head(2).reverse().extend_constant("", pl.len() - 2))
        .otherwise("item_id")
    )
    assert swapped["item_id"].to_list() != table["item_id"].to_list()
    swapped.write_parquet(copy / "interactions.parquet")
    others.append(RunData.load(config).version)
    renamed = table.with_columns(user_id=pl.col("user_id") + "x")
    renamed.write_parquet(copy / "interactions.parquet")
    others.append(RunData.load(config).version)
    table.write_parquet(copy / "interactions.parquet")
    assert RunData.load(config).version == version
    Catalog.load(copy / "catalog").with_retired([table["item_id"][0]]).save(copy / "catalog")
    others.append(RunData.load(config).version)
    assert len({version, *others}) == 6


def test_data_that_cannot_be_split_name_the_folder(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    table = pl.read_parquet(copy / "interactions.parquet")
    positions = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id")
    table.with_columns(timestamp=positions).write_parquet(copy / "interactions.parquet")
    with pytest.raises(ValueError, match=r"shop: the data have no times"):
        RunData.load(DataConfig(folder=copy, split=ByTimeConfig()))


def test_a_folder_without_a_catalog_says_what_to_run(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    shutil.rmtree(copy / "catalog")
    with pytest.raises(ValueError, match=r"has no catalog yet: run `beamwise tokenize .*shop`"):
        RunData.load(DataConfig(folder=copy))


def test_a_catalog_of_other_items_is_refused(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    Catalog.from_codes(torch.tensor([[0, 1]]), 4, ["elsewhere"]).save(copy / "catalog")
    with pytest.raises(ValueError, match="'elsewhere' of the catalog has no row"):
        RunData.load(DataConfig(folder=copy))


def test_items_that_the_catalog_lacks_are_refused(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    known = pl.read_parquet(copy / "items.parquet")["item_id"].head(1)
    Catalog.from_codes(torch.tensor([[0, 1]]), 4, known).save(copy / "catalog")
    with pytest.raises(ValueError, match="item"):
        RunData.load(DataConfig(folder=copy))


def test_codes_that_know_what_is_to_be_predicted_are_refused(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    small = RQKMeansConfig(num_levels=2, codebook_size=16)
    codes = QuantizedConfig(embedding=CoOccurrenceConfig(dim=4), quantizer=small)
    tokenize(copy, codes)
    RunData.load(DataConfig(folder=copy))
    timed = DataConfig(folder=copy, split=ByTimeConfig())
    with pytest.raises(ValueError, match=r"so they know targets of 'by-time'.*split.name=by-time"):
        RunData.load(timed)
    again = CoOccurrenceConfig(dim=4, split=ByTimeConfig())
    tokenize(copy, QuantizedConfig(embedding=again, quantizer=small))
    RunData.load(timed)
    with pytest.raises(ValueError, match="'leave-one-out'"):
        RunData.load(DataConfig(folder=copy))


def test_published_targets_of_titles_are_read(shop_folder, tmp_path):
    dataset = Dataset.load(shop_folder)
    users = dataset.interactions.user_ids
    rows = [
        (user, position, part)
        for user in users.head(3)
        for position, part in ((2, "training"), (3, "validation"), (4, "test"))
    ]
    targets = pl.DataFrame(rows, schema=["user_id", "position", "part"], orient="row")
    folder = tmp_path / "titles"
    Dataset(dataset.interactions, dataset.items, targets=targets).save(folder)
    tokenize(folder, TitlesConfig(vocab_size=300))
    data = RunData.load(DataConfig(folder=folder, split=PublishedConfig(), max_history=2))
    assert data.test.positions.tolist() == [4, 4, 4]
    assert data.validation.users.tolist() == [0, 1, 2]
    assert data.train_sequences.starts.diff().tolist() == [3, 3, 3] + [0] * (len(users) - 3)
    with pytest.raises(ValueError, match="shop: the data came without a split"):
        RunData.load(DataConfig(folder=shop_folder, split=PublishedConfig()))
