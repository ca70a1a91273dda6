"""The demo continues or replaces its own folder and refuses any other."""

import pytest

from beamwise.evaluation import Evaluation, EvaluationConfig
from beamwise.experiments.demo import DemoConfig, DemoWatcher, run_demo
from beamwise.sequences.negatives import NegativesConfig
from beamwise.testing.tiny_run import TINY_SHOP, TINY_TIGER, TINY_TRAINING

TINY = DemoConfig(
    shop=TINY_SHOP,
    backbone=TINY_TIGER,
    negatives=NegativesConfig(count=4),
    training=TINY_TRAINING,
    evaluation=EvaluationConfig(beam_width=10, ks=(10,), full_sort=True),
)


def run(out, config=TINY):
    """The result of a demo, the steps that it told, and how many training steps it took."""
    steps, training = [], []
    result = run_demo(out, config, DemoWatcher(steps.append, training.append))
    return result, steps, len(training)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo"))


def test_it_trains_and_measures_every_objective(first):
    result, steps, _ = first
    assert list(result.runs) == ["ce", "apao-pairwise"]
    for name, folder in result.runs.items():
        assert Evaluation.load(folder).summary == result.evaluations[name].summary
        assert result.evaluations[name].survival.users == TINY_SHOP.num_users
    assert any("ce" in step for step in steps)
    assert result.picture == result.data.parent / "effect.png"
    assert result.picture.read_bytes().startswith(b"\x89PNG")


def test_without_a_full_sort_there_is_nothing_to_draw(first):
    shop = first[0].data.parent
    beam_only = TINY.model_copy(update={"evaluation": EvaluationConfig(beam_width=10, ks=(10,))})
    result, _, _ = run(shop.with_name("beam-only"), beam_only)
    assert result.picture is None


def test_the_same_again_trains_nothing_and_measures_the_same(first):
    result, _, trained = first
    again, _, trained_again = run(result.data.parent)
    assert (trained > 0, trained_again) == (True, 0)
    for name, evaluation in result.evaluations.items():
        assert again.evaluations[name].summary == evaluation.summary


def test_other_settings_replace_an_earlier_demo(tmp_path):
    out = tmp_path / "demo"
    small = TINY.model_copy(update={"objectives": TINY.objectives[:1]})
    run(out, small)
    version = (out / "data" / "catalog" / "catalog.json").read_text()
    result, _, trained = run(out, small.with_seed(3))
    assert trained > 0
    assert list(result.runs) == ["ce"]
    assert (out / "data" / "catalog" / "catalog.json").read_text() != version


def test_settings_that_cannot_be_read_are_replaced(tmp_path):
    (tmp_path / "demo.yaml").write_text("of: another version")
    run(tmp_path, TINY.model_copy(update={"objectives": TINY.objectives[:1]}))
    assert "another version" not in (tmp_path / "demo.yaml").read_text()


def test_foreign_folders_and_files_are_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose")
    with pytest.raises(ValueError, match="is not the folder of a demo"):
        run(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        run(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_seed_changes_shop_and_weights():
    seeded = TINY.with_seed(7)
    assert (seeded.shop.seed, seeded.training.seed) == (7, 7)
    assert seeded.shop.num_users == TINY.shop.num_users
