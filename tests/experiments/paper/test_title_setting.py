"""What the experiments on titles share."""

from pathlib import Path

import pytest

from beamwise.backbones.prompts import prompt_of
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper.setting import CE
from beamwise.experiments.paper.title_setting import TitleSetting


def test_a_setting_of_titles_has_bears_search(tmp_path):
    setting = TitleSetting("toy-titles", "smollm2")
    assert (setting.folder, setting.title) == ("toy-titles-smollm2", "Toy titles, SmolLM2-135M")
    assert setting.data_folder == Path("data/toy-titles")
    later = setting.preference("dpo", {"negatives.count": 1})
    config = setting.comparison("BEAR", CE, later, survival_of=("ce",))
    assert (config.evaluation.ks, config.evaluation.beam_width) == ((1, 5, 10), 10)
    assert (config.survival.ks, config.survival.beam_width) == ((1, 5, 10), 10)
    comparison = Comparison(config, tmp_path)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["ce"].backbone.lora.r == 8
    assert runs["ce"].evaluation.mask == "before"
    assert (runs["ce"].data.max_history, runs["ce"].data.split.num_train) == (10, 10_000)
    assert (runs["ce"].training.learning_rate, runs["ce-dpo"].training.learning_rate) == (
        1e-4,
        1e-5,
    )
    assert (runs["ce"].negatives.count, runs["ce-dpo"].negatives.count) == (10, 1)
    assert comparison.methods["ce-dpo"].grid == {"objective.beta": (0.5, 1.0, 2.0)}


@pytest.mark.parametrize(("dataset", "goods"), [("toy-titles", "toy"), ("office-titles", "office")])
def test_a_language_model_reads_bears_instruction(dataset, goods, tmp_path):
    prompts = {}
    for model in ("smollm2", "tiny"):
        config = TitleSetting(dataset, model).comparison("BEAR", CE)
        run = next(Comparison(config, tmp_path / model).any_runs("ce"))
        prompts[model] = prompt_of(["A", "B"], run.config.backbone.prompt)
    assert goods in prompts["smollm2"].splitlines()[1]
    assert '### Input:\n"A", "B"\n' in prompts["smollm2"]
    assert prompts["tiny"] == '"A", "B"\n'


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("office", "tiny"), "unknown dataset 'office'; choose one of office-titles, toy-titles"),
        (("toy-titles", "tiger"), "unknown backbone 'tiger'; choose one of tiny, smollm2"),
        (("toy-titles", "tiny", "small"), "unknown size 'small'; choose one of paper"),
    ],
)
def test_what_is_no_setting_of_titles_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        TitleSetting(*arguments)
