"""Items that come after training: how well does a model recommend what it has never seen?

A tenth of a simulated shop's items is kept back. A tokenizer and a model are made from the rest;
then the tokenizer codes the items kept back, and the model ranks them for the test users who
really took one: among all items, and among the new ones, as for a row of novelties. The control
gives the same codes to the new items in a random order, so that only what they say is lost.
"""

import argparse
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

import beamwise
from beamwise.config import read_config
from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.serving.recommender import Recommender
from beamwise.tokenization import QuantizedConfig, tokenize
from beamwise.tokenization.codes import codes_of
from beamwise.tokenization.item_tokenizer import ItemTokenizer
from beamwise.tokenization.later_items import tokenize_like
from beamwise.training.presets import preset

K = 10


@dataclass(frozen=True)
class Shop:
    """The shop before and after the new items came."""

    before: Dataset
    after: Dataset
    new_ids: pl.Series


def make_shop(num_users: int, seed: int) -> Shop:
    """Keep every tenth item back, in a random order."""
    shop = read_simulated_shop(SimulatedShopConfig(num_users=num_users, seed=seed))
    items = Dataset(shop.interactions, shop.items).items
    order = np.random.default_rng(seed).permutation(len(items))
    new_ids = items["item_id"].gather(np.sort(order[::10]))
    is_old = ~pl.col("item_id").is_in(new_ids.implode())
    table = Interactions.from_table(shop.interactions.table.filter(is_old))
    before = Dataset(table, items.filter(is_old))
    return Shop(before, Dataset(shop.interactions, items), new_ids)


def shuffle_new_codes(folder: Path, new_ids: pl.Series, seed: int) -> None:
    """Deal the new items' codes to them in a random order."""
    catalog = beamwise.Catalog.load(folder / "catalog")
    codebook_size = ItemTokenizer.load(folder / "tokenizer").codebook_size
    codes = codes_of(catalog, codebook_size)
    rows = catalog.indices_of(new_ids).numpy()
    codes[rows] = codes[np.random.default_rng(seed).permutation(rows)]
    beamwise.Catalog.from_codes(codes, codebook_size, catalog.item_ids).save(folder / "catalog")


def recall_of(run: Path, data: Path, shop: Shop) -> dict[str, float]:
    """Recall@10 on the test users whose target is new: in the whole list, and among new items.

    The last is among new items by the model's own probabilities of steps that it never saw.
    """
    per_user = beamwise.evaluate(run, data=data).per_user
    asked = per_user.filter(pl.col("item_id").is_in(shop.new_ids.implode()))
    recommender = beamwise.load(run, data=data)
    recall = {
        "users": len(asked),
        "among all items": asked[f"recall@{K}"].mean(),
        "among new items": recall_among_new(recommender, asked, shop.new_ids),
    }
    recommender.catalog = replace(recommender.catalog, unseen=None)
    own = recall_among_new(recommender, asked, shop.new_ids)
    return recall | {"the same by the model's own probabilities": own}


def recall_among_new(recommender: Recommender, asked: pl.DataFrame, new_ids: pl.Series) -> float:
    """The share of users whose target is among the best 10 of the new items."""
    histories = [recommender.history_of_user(user)[:-1] for user in asked["user_id"]]
    lists = recommender.recommend(histories, top_k=K, eligible=new_ids.to_list())
    pairs = zip(asked["item_id"], lists, strict=True)
    return sum(target in {item.item_id for item in items} for target, items in pairs) / len(asked)


def main() -> None:
    """Train without the new items, then rank with them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--num-users", type=int, default=600)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    folder = Path("new-items")
    shop = make_shop(chosen.num_users, chosen.seed)
    before, after, control = (folder / name for name in ("before", "after", "control"))
    run = folder / "run"

    shop.before.save(before, overwrite=True)
    tokenize(before, QuantizedConfig())
    changes = [f"out={run}", f"data.folder={before}", f"training.epochs={chosen.epochs}"]
    beamwise.train(read_config(beamwise.RunConfig, None, changes, preset("small")))

    shop.after.save(after, overwrite=True)
    catalog = tokenize_like(after, before)
    print(f"{len(shop.new_ids)} of {catalog.num_items} items are new to the model")
    shutil.copytree(after, control, dirs_exist_ok=True)
    shuffle_new_codes(control, shop.new_ids, chosen.seed)
    print(f"recall@{K} of new items by chance among them: {K / len(shop.new_ids):.4f}")
    for name, data in (("coded by the tokenizer", after), ("the same codes, shuffled", control)):
        recall = recall_of(run, data, shop)
        print(f"{name}: " + ", ".join(f"{what} {value:.4g}" for what, value in recall.items()))


if __name__ == "__main__":
    main()
