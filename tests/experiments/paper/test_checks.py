"""What experiments ask of their settings, before anything is trained."""

import pytest

from beamwise.config import changed_config
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.title_setting import TitleSetting


@pytest.mark.parametrize(
    ("experiment", "settings", "complaint"),
    [
        ("table1", ["evaluation.ks=[10]"], r"metrics at 20, and evaluation.ks is \[10\]"),
        ("table3", ["evaluation.ks=[5,20]"], "metrics at 10, and evaluation.ks"),
        ("figure1", ["survival_of=[]"], r"Figure 1: .* survival_of is \[\], none of ce, msl"),
        ("figure5", ["survival_of=[ce-s-dpo]"], "none of ce, msl"),
        ("figure4", ["survival.ks=[10,20]"], r"survival.ks is \[10, 20\]: add that cutoff"),
        ("figure4", ["survival.widths=[3,20]"], "a beam of 3 returns fewer than 5"),
        ("bear", ["survival_of=[]"], "BEAR: Office titles, .* is made of survival reports"),
    ],
)
def test_what_a_section_needs_is_asked_for(experiment, settings, complaint, setting):
    if experiment == "bear":
        setting = TitleSetting("office-titles", "tiny")
    of = EXPERIMENTS[experiment]
    config = of.comparison(setting)
    of.check(config, ("ce", "msl"))
    with pytest.raises(ValueError, match=complaint):
        of.check(changed_config(config, None, settings), ("ce", "msl"))


@pytest.mark.parametrize("name", ["table4", "own", "figure2", "figure3", "simulated-beams"])
def test_the_others_need_nothing(name, setting):
    kind = EXPERIMENTS[name].setting
    here = setting if kind is not TitleSetting else TitleSetting("office-titles", "tiny")
    EXPERIMENTS[name].check(EXPERIMENTS[name].comparison(here), ("ce",))
