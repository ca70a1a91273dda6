"""From nothing to recommendations: a simulated shop, its catalog, a small TIGER, in a minute."""

from pathlib import Path

import beamwise
from beamwise.backbones import TigerConfig
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.evaluation import EvaluationConfig
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.training.config import DataConfig, TrainingConfig


def main() -> None:
    """Prepare, train, evaluate under beam search and under full sort, and recommend."""
    folder = Path("quickstart")
    dataset = read_simulated_shop(SimulatedShopConfig(num_users=300))
    dataset.save(folder / "data", overwrite=True)
    catalog_from_semantic_ids(dataset).save(folder / "data" / "catalog")

    config = beamwise.RunConfig(
        out=folder / "run",
        data=DataConfig(folder=folder / "data"),
        backbone=TigerConfig(
            dim=32,
            num_encoder_layers=1,
            num_decoder_layers=1,
            num_heads=2,
            head_dim=16,
            feedforward_dim=64,
            dropout=0.0,
        ),
        training=TrainingConfig(epochs=3, batch_size=64, chunk_size=64, learning_rate=5e-3),
    )
    run = beamwise.train(config)
    print(f"trained {run}")

    beam = EvaluationConfig(beam_width=10, ks=(10,), full_sort=True)
    evaluation = beamwise.evaluate(run, config=beam)
    print(f"recall@10, beam search: {evaluation.summary['recall@10']:.4f}")
    print(f"recall@10, full sort:   {evaluation.summary['recall@10_full_sort']:.4f}")

    recommender = beamwise.load(run)
    history = recommender.history_of_user("user-0000")
    print("bought:", ", ".join(str(title) for title in recommender.titles_of(history)))
    for item in recommender.recommend([history], top_k=5)[0]:
        print(f"{item.log_prob:8.3f}  {item.item_id}  {item.title}")


if __name__ == "__main__":
    main()
