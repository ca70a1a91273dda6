"""A language model that reads titles and writes one: plain fine-tuning beside BEAR, on a shop.

The model `tiny` has fresh weights and needs no download; see docs/llm.md for others.
"""

from pathlib import Path

import beamwise
from beamwise.backbones import PretrainedConfig
from beamwise.backbones.pretrained_config import TinyConfig
from beamwise.backbones.prompts import PromptConfig
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.evaluation import EvaluationConfig
from beamwise.objectives.beam_aware import BeamAwareConfig
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.tokenization import tokenize
from beamwise.tokenization.title_tokenizer import TitlesConfig
from beamwise.training.config import DataConfig, TrainingConfig

MODEL = PretrainedConfig(
    tiny=TinyConfig(dim=48, num_layers=2, num_heads=2, feedforward_dim=128),
    prompt=PromptConfig(template="{history}\n"),  # tiny knows no words but those of titles
)
BEAM = EvaluationConfig(beam_width=10, ks=(1, 5, 10), mask="before", full_sort=True)


def main() -> None:
    """Train both ways with the same data, model and seed; one seed says little about an order."""
    folder = Path("titles")
    read_simulated_shop(SimulatedShopConfig(num_users=150)).save(folder / "data", overwrite=True)
    tokenize(folder / "data", TitlesConfig(vocab_size=600))
    shared = {
        "data": DataConfig(folder=folder / "data", max_history=5),
        "backbone": MODEL,
        "training": TrainingConfig(
            epochs=3, batch_size=32, micro_batch_size=32, learning_rate=3e-3
        ),
        "evaluation": BEAM,
    }
    print(f"{'':8s}{'HR@1':>8s}{'HR@5':>8s}{'HR@10':>8s}{'HR@10, exact':>14s}")
    for objective in (CrossEntropyConfig(), BeamAwareConfig(form="hinge", beam_width=10)):
        run = beamwise.train(
            beamwise.RunConfig(out=folder / objective.name, objective=objective, **shared)
        )
        found = beamwise.evaluate(run).summary  # a test user has one target: recall is the hit rate
        hits = "".join(f"{found[f'recall@{k}']:8.4f}" for k in (1, 5, 10))
        print(f"{objective.name:8s}{hits}{found['recall@10_full_sort']:14.4f}")

    recommender = beamwise.load(folder / "bear")
    for item in recommender.recommend([recommender.catalog.item_ids[:3].to_list()], top_k=3)[0]:
        print(f"{item.log_prob:8.3f}  {item.title}")


if __name__ == "__main__":
    main()
