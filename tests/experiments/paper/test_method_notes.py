"""Method notes: who was tuned on our targets, second stages, masks, and changed settings."""

from beamwise.experiments.paper.method_notes import changes, how_set, intervals
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.title_setting import TitleSetting

from .conftest import evidence_from, method


def test_tuned_and_not_tuned_methods_are_named():
    names = ("ce", "ce-tuned", "msl", "ce-s-dpo", "apao-pairwise")
    methods = [method("ce"), *(method(name, 0.1, 0.0) for name in names[1:])]
    tuning, masks = how_set(evidence_from(Setting("office", "tiger"), *methods))
    assert (
        "Tuned on our validation targets, with seed 0: ce-tuned (training.learning_rate of 0.0003, "
        "0.0005, 0.001); msl (objective.temperature of 1, 2, 3); ce-s-dpo (objective.beta of 0.5, "
        "1, 2)." in tuning
    )
    assert "Not tuned here: apao-pairwise, with beta and eta of the paper's Table 5, " in tuning
    assert "which are larger" not in tuning
    assert "have 100 a target, unless" in tuning
    assert "Of one setting, that of their source or a default: ce." in tuning
    assert (
        "Second stages (ce-s-dpo after ce) have a learning rate of 5e-05 and at most 200" in tuning
    )
    assert masks.startswith("Illegal tokens are masked before the softmax by msl, after it by the")


def test_small_models_and_titles_have_values_of_others():
    small = evidence_from(
        Setting("office", "tiger", "small"), method("ce"), method("apao-pairwise", 0.1, 0.0)
    )
    tuning, masks = how_set(small)
    assert "their models, which are larger." in tuning
    assert "have 10 a target, where the paper has 100, unless" in tuning
    assert masks == "All methods decode with illegal tokens masked after the softmax."
    titles = TitleSetting("toy-titles", "tiny")
    methods = (method("ce"), method("apao-pairwise", 0.1, 0.0), method("ce-dpo", 0.1, 0.0))
    tuning, masks = how_set(evidence_from(titles, *methods, experiment="bear"))
    assert "apao-pairwise, with beta and eta that its paper has for Office and Llama" in tuning
    assert "learning rate of 0.0003 and at most 2 epochs" in tuning
    assert masks == "All methods decode with illegal tokens masked before the softmax."


def test_intervals_and_changes():
    evidence = evidence_from(Setting("office", "tiger"), method("ce"))
    assert "(100 paired resamples of users" in intervals(evidence)
    assert changes(("a=1", "b=[2]")) == "Settings that were changed: `a=1`, `b=[2]`."
