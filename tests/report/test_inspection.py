"""What can be read off an inspection."""

from dataclasses import replace


def test_the_level_at_which_the_target_was_lost(inspected):
    assert inspected.lost_at is inspected.levels[0]
    kept = tuple(replace(level, target=None) for level in inspected.levels)
    assert replace(inspected, levels=kept).lost_at is None


def test_a_target_that_gives_way_to_items_of_the_same_tokens(inspected):
    assert not inspected.is_crowded_out
    first, second = inspected.levels
    second = replace(second, target=replace(second.target, state="crowded out"))
    crowded = replace(inspected, levels=(replace(first, target=None), second))
    assert crowded.is_crowded_out
    assert crowded.lost_at is None


def test_the_target_among_the_results(inspected):
    assert inspected.target_result is inspected.results[1]
    assert replace(inspected, results=inspected.results[:1]).target_result is None


def test_survivors_survived(inspected):
    for level in inspected.levels:
        assert all(prefix.survived for prefix in level.survivors)
        assert not any(prefix.survived for prefix in level.lost)
