"""Published settings in configs/ have the published values."""

from pathlib import Path

import pytest

from beamwise.config import read_config
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import bear
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.training.config import RunConfig
from beamwise.training.presets import preset as settings_of

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


TITLE_METHODS = tuple(sorted(path.stem for path in (ROOT / "configs" / "titles").glob("*.yaml")))
SETTING = TitleSetting("toy-titles", "smollm2")


def test_every_method_on_titles_has_a_file():
    compared = {method.name for method in bear.comparison(SETTING).methods}
    assert set(TITLE_METHODS) == compared - {"ce", "prefix-survival"} | {"lml"}


@pytest.mark.parametrize("preset", ["titles-smollm2", "titles-tiny"])
@pytest.mark.parametrize("method", TITLE_METHODS)
def test_methods_on_titles_are_those_of_the_experiment(method, preset, tmp_path):
    short = ["out=runs/x", "data.folder=data/toy-titles"]
    path = ROOT / "configs" / "titles" / f"{method}.yaml"
    config = read_config(RunConfig, path, short, settings_of(preset))
    name = "ce" if method == "lml" else method
    comparison = Comparison(bear.comparison(SETTING), tmp_path)
    runs = [run.config for run in comparison.any_runs(name)]
    assert config.objective in [run.objective for run in runs]
    assert (config.start_from is None) == (comparison.methods[name].start_from is None)
    assert config.evaluation.beam_width == runs[0].evaluation.beam_width == 10
    if config.start_from is not None:
        assert config.training.learning_rate == runs[0].training.learning_rate
        assert (config.training.epochs, config.negatives.count) == (2, runs[0].negatives.count)


def test_the_comparison_on_titles_has_one_setting_of_every_method(tmp_path):
    path = ROOT / "configs" / "comparisons" / "toy-titles-tiny.yaml"
    ours = Comparison(read_config(ComparisonConfig, path), tmp_path)
    theirs = Comparison(bear.comparison(TitleSetting("toy-titles", "tiny")), tmp_path)
    assert set(ours.methods) == set(theirs.methods)
    cheaper = {"out", "objective", "negatives"}
    for name, method in ours.methods.items():
        mine = next(ours.any_runs(name)).config
        tried = [run.config for run in theirs.any_runs(name)]
        assert mine.objective in [config.objective for config in tried]
        assert mine.model_dump(exclude=cheaper) == tried[0].model_dump(exclude=cheaper)
        assert method.start_from == theirs.methods[name].start_from
    assert ours.config.evaluation == theirs.config.evaluation
