"""Published settings in configs/ have the published values."""

from pathlib import Path

import pytest

from beamwise.config import read_config
from beamwise.training.config import RunConfig

ROOT = Path(__file__).parent.parent

# APAO, Table 5: beta and eta, pointwise and then pairwise.
TABLE_5 = {
    ("tiger", "office"): (0.3, 1e-4, 0.2, 3e-5),
    ("tiger", "grocery"): (0.1, 5e-5, 0.1, 5e-5),
    ("tiger", "beauty"): (0.1, 1e-5, 0.1, 1e-4),
    ("tiger", "yelp"): (0.05, 1e-5, 0.05, 5e-6),
    ("llama", "office"): (0.4, 5e-4, 0.4, 5e-5),
    ("llama", "grocery"): (0.4, 5e-5, 0.2, 3e-5),
    ("llama", "beauty"): (0.3, 1e-4, 0.4, 1e-5),
    ("llama", "yelp"): (0.4, 1e-5, 0.1, 5e-6),
}


@pytest.mark.parametrize(("backbone", "data"), TABLE_5)
@pytest.mark.parametrize("variant", ["pointwise", "pairwise"])
def test_table_5(backbone, data, variant):
    config = read_config(RunConfig, ROOT / "configs" / f"{data}-{backbone}-apao-{variant}.yaml")
    beta, eta = (
        TABLE_5[backbone, data][:2] if variant == "pointwise" else TABLE_5[backbone, data][2:]
    )
    assert (config.objective.name, config.objective.beta, config.objective.eta) == (
        f"apao-{variant}", beta, eta,
    )  # fmt: skip
    assert (config.backbone.name, config.data.folder) == (backbone, Path("data") / data)
    if variant == "pairwise":
        assert config.negatives.count == 100


@pytest.mark.parametrize(("backbone", "data"), TABLE_5)
def test_the_baseline_differs_in_its_objective_alone(backbone, data):
    ours, theirs = (
        read_config(RunConfig, ROOT / "configs" / f"{data}-{backbone}-{objective}.yaml")
        for objective in ("apao-pairwise", "ce")
    )
    kept = {"out", "objective", "negatives"}
    assert ours.model_dump(exclude=kept) == theirs.model_dump(exclude=kept)
    training = theirs.training  # APAO, section 5.1.3
    assert (training.learning_rate, training.warmup_fraction, training.epochs) == (5e-4, 0.01, 200)
    assert (training.batch_size, training.micro_batch_size) == (1024, 128)
    assert (theirs.early_stopping.patience, theirs.data.max_history) == (20, 20)
