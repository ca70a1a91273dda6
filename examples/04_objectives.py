"""One backbone, several objectives: cross-entropy, MSL, and S-DPO as a second stage, on a shop."""

from pathlib import Path

import beamwise
from beamwise.backbones import LlamaConfig
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.evaluation import EvaluationConfig
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.objectives.masked_softmax import MaskedSoftmaxConfig
from beamwise.objectives.softmax_dpo import SoftmaxDPOConfig
from beamwise.sequences.negatives import NegativesConfig
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.training.config import DataConfig, StageConfig, TrainingConfig

MODEL = LlamaConfig(dim=32, num_layers=2, num_heads=2, head_dim=16, feedforward_dim=64)
BEAM = EvaluationConfig(beam_width=10, ks=(10,), full_sort=True)
BEAM_OF_LEGAL = BEAM.model_copy(update={"mask": "before"})


def main() -> None:
    """Train each way with the same data, model and seed; one seed says little about an order."""
    folder = Path("objectives")
    dataset = read_simulated_shop(SimulatedShopConfig(num_users=400))
    dataset.save(folder / "data", overwrite=True)
    catalog_from_semantic_ids(dataset).save(folder / "data" / "catalog")

    shared = {
        "data": DataConfig(folder=folder / "data"),
        "backbone": MODEL,
        "negatives": NegativesConfig(count=10),
        "training": TrainingConfig(packing="stream", epochs=4, batch_size=64, learning_rate=5e-3),
    }
    two_stages = (
        StageConfig(objective=CrossEntropyConfig()),
        StageConfig(objective=SoftmaxDPOConfig(beta=0.5), epochs=2, learning_rate=5e-4),
    )
    configs = {
        "ce": beamwise.RunConfig(out=folder / "ce", evaluation=BEAM, **shared),
        "msl": beamwise.RunConfig(
            out=folder / "msl",
            objective=MaskedSoftmaxConfig(temperature=2.0),
            evaluation=BEAM_OF_LEGAL,  # decoded as it was trained: among legal tokens
            **shared,
        ),
        "ce, then s-dpo": beamwise.RunConfig(
            out=folder / "s-dpo", stages=two_stages, evaluation=BEAM, **shared
        ),
    }
    print(f"{'':16s}{'beam search':>14s}{'exact':>10s}   (recall@10)")
    for name, config in configs.items():
        found = beamwise.evaluate(beamwise.train(config)).summary
        beam, exact = found["recall@10"], found["recall@10_full_sort"]
        print(f"{name:16s}{beam:14.4f}{exact:10.4f}")


if __name__ == "__main__":
    main()
