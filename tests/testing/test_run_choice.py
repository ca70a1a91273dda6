"""Inside, every tree is searched the one way; afterwards its shape decides again."""

from beamwise.decoding.runs import follows_runs
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.tiny_catalogs import random_semantic_ids, random_titles


def test_the_way_is_chosen_inside_only():
    titles, codes = random_titles(0), random_semantic_ids(0)
    with step_by_step():
        assert not follows_runs(titles)
    with along_runs():
        assert follows_runs(codes)
    assert follows_runs(titles)
    assert not follows_runs(codes)
