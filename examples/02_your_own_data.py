"""From a CSV of interactions and one of items to a recommender that knows new items, in minutes.

The files stand for yours: they are a simulated shop's, of which some items are kept back as if they
came only later.
"""

from pathlib import Path

import polars as pl

import beamwise
from beamwise.config import read_config
from beamwise.data.card import data_card, write_card
from beamwise.data.sources import read_source
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.data.sources.table import TableConfig
from beamwise.experiments.evaluate_run import evaluate_baselines
from beamwise.experiments.tokenizer_report import write_tokenizer_report
from beamwise.tokenization import QuantizedConfig, tokenize
from beamwise.tokenization.later_items import change_items
from beamwise.training.presets import preset

FOLDER = Path("your-own-data")
NUM_LATER = 20


def write_tables() -> pl.DataFrame:
    """Write interactions.csv and items.csv, and return the items that come later."""
    shop = read_simulated_shop(SimulatedShopConfig(num_users=1_000, num_items=500))
    later = shop.items.tail(NUM_LATER)
    is_later = pl.col("item_id").is_in(later["item_id"].implode())
    FOLDER.mkdir(exist_ok=True)
    shop.interactions.table.filter(~is_later).write_csv(FOLDER / "interactions.csv")
    shop.items.filter(~is_later).write_csv(FOLDER / "items.csv")
    return later


def main() -> None:
    """Prepare, tokenize, train, evaluate beside baselines, recommend, and add items."""
    later = write_tables()
    data, run = FOLDER / "data", FOLDER / "run"

    # beamwise prepare table interactions.csv --items items.csv --out data
    source = TableConfig(file=FOLDER / "interactions.csv", items=FOLDER / "items.csv")
    dataset = read_source(source)
    dataset.save(data, overwrite=True)
    write_card(data_card(dataset), data)

    # beamwise tokenize data
    config = QuantizedConfig()
    quality = write_tokenizer_report(data, tokenize(data, config), config)
    print(f"{quality.use.num_items} items have {quality.use.distinct_ids} distinct semantic IDs")

    # beamwise train --preset small --data data --out run, for fewer epochs
    changes = [f"out={run}", f"data.folder={data}", "training.epochs=6"]
    beamwise.train(read_config(beamwise.RunConfig, None, changes, preset("small")))

    # beamwise evaluate run --baselines
    results = {"model": beamwise.evaluate(run)} | evaluate_baselines(run)
    for name, evaluation in results.items():
        print(f"{name:>10}: recall@10 {evaluation.summary['recall@10']:.4f}")

    # beamwise recommend run --user user-0000
    recommender = beamwise.load(run)
    history = recommender.history_of_user("user-0000")
    for item in recommender.recommend([history], top_k=3)[0]:
        print(f"{item.log_prob:8.3f}  {item.item_id}  {item.title}")

    # beamwise tokenize data --add later.csv, and recommend from the new catalog without training
    change_items(data, added=later)
    recommender = beamwise.load(run, data=data)
    best = recommender.recommend([history], top_k=3, eligible=later["item_id"].to_list())[0]
    print("the best of the later items:", ", ".join(str(item.title) for item in best))


if __name__ == "__main__":
    main()
