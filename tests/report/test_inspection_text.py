"""Words of an inspection, for every fate of a target."""

from dataclasses import replace

import pytest

from beamwise.report import inspection_text as text
from beamwise.report.inspection import TargetAtLevel


def with_target(inspected, level, **changes):
    """The inspection with another target on one level, and none on the others."""
    levels = [replace(each, target=None) for each in inspected.levels]
    levels[level] = replace(levels[level], target=replace(inspected.levels[0].target, **changes))
    return replace(inspected, levels=tuple(levels))


def test_labels(inspected):
    prefix = inspected.levels[1].survivors[0]
    assert text.prefix_label(prefix) == "7 3"
    assert text.prefix_label(replace(prefix, codes=None)) == "9 261"
    assert text.prefix_label(replace(prefix, tokens=(9, 261, 1))) == "7 3 end"
    assert text.ranks_label((1, 2, 3, 4)) == "1, 2, 3, 4"
    assert text.ranks_label((1, 2, 3, 4, 9)) == "1, 2, 3, 4 and 1 more"
    assert text.leads_to(prefix, 8) == "A <red>… | i-2 (+3)"
    assert text.leads_to(replace(prefix, num_items=2), 20) == "A <red> mug | i-2"


def test_titles_are_shown_as_text(inspected):
    prefix = replace(inspected.levels[1].survivors[0], text="A <red> m…", codes=None)
    assert text.prefix_label(prefix) == "A <red> m…"
    assert not text.is_whole(prefix)
    assert text.is_whole(replace(prefix, text="A <red> mug", num_items=1))
    assert not text.is_whole(replace(prefix, text="A <red> mug", num_items=2))
    assert text.ending("A <red> mug", 11) == "A <red> mug"
    assert text.ending("A <red> mug", 5) == "…mug"


def test_items_that_share_a_title_are_told_apart(inspected):
    prefix = replace(inspected.levels[1].survivors[0], text="A <red> mug", codes=None, num_items=2)
    mug, _ = prefix.examples
    twins = replace(prefix, examples=(mug, replace(mug, item_id="i-9")))
    assert text.leads_to(twins, 20) == f"{mug.item_id} | i-9"
    assert text.names_below(replace(twins, text="A <red>…")) == ["A <red> mug"] * 2


def test_steps_of_titles(inspected):
    titles = replace(inspected, level_name="token", codebook_size=None)
    first, second = inspected.levels
    begin = "token 1: 1 prefix expanded, 6 scored, 2 kept, 4 lost"
    for until, forced in ((1, ""), (2, "; token 2 is forced"), (5, "; 2 to 5 are forced")):
        assert text.level_title(replace(first, until=until), titles) == begin + forced
    end = replace(second, is_end=True, num_candidates=3, num_lost=1)
    assert text.level_title(end, titles) == (
        "whole items: 3 reached by forced tokens, 2 returned, 1 lost"
    )
    assert text.verdict(titles)[0].startswith("The beam lost the target, A <red> mug, at token 1:")
    assert text.verdict(titles)[1].endswith("lost 1: 1 at token 1.")
    assert text.results_note(titles.results[1], titles) == "target, the beam lost it at token 1"
    assert list(text.search_facts(titles)) == ["steps"]
    assert text.search_facts(inspected) == {"tokens": "2 + level * 256 + code, levels from 0"}
    assert text.search_facts(replace(inspected, codebook_size=None)) == {}


def test_ordinals():
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 102, 113, 1003)
    assert [text.ordinal(number) for number in numbers] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "113th", "1,003rd",
    ]  # fmt: skip


def test_titles_of_levels(inspected):
    titles = [text.level_title(level, inspected) for level in inspected.levels]
    assert titles == [
        "level 1 of 2: 1 prefix expanded, 6 scored, 2 kept, 4 lost",
        "level 2 of 2: 2 prefixes expanded, 5 scored, 2 kept, 3 lost",
    ]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (("kept", -1.0, 2, 0.5), "target kept, 2nd, 0.500 nats above the last that found a place"),
        (("returned", -1.0, 2, None), "target returned, 2nd, with a place for all"),
        (
            ("lost before", -1.0, 3, -0.25),
            "target lost before, would be 3rd, 0.250 nats below the last that found a place",
        ),
        (
            ("crowded out", -1.0, 2, None),
            "target crowded out by items that share their tokens, which are 2nd, with a place for "
            "all",
        ),
    ],
)
def test_the_target_on_a_level(target, line):
    assert text.target_line(TargetAtLevel(*target)) == line


def test_a_target_that_was_pruned(inspected):
    assert text.verdict(inspected) == [
        "The beam lost the target, A <red> mug, at level 1: its prefix is the 3rd of those scored, "
        "0.250 nats below the last that found a place. Exact search returns it at rank 2.",
        "Of the exact top 2 the beam returns 1 and lost 1: 1 at level 1.",
    ]


def test_a_target_that_nobody_returns(inspected):
    results = tuple(result for result in inspected.results if not result.is_target)
    found = replace(with_target(inspected, 1, state="outscored", rank=4), results=results)
    assert text.verdict(found)[0] == (
        "The beam kept every prefix of the target, A <red> mug, but it is the 4th of the whole "
        "items found, 0.250 nats below the last that found a place. Exact search does not return "
        "it: its tokens rank 2nd in the whole catalog."
    )
    unknown = replace(found, target_rank=None, levels=())
    assert text.verdict(unknown)[0] == (
        "The beam does not return the target, A <red> mug. Exact search does not return it."
    )


def test_a_target_that_shares_its_tokens(inspected):
    results = tuple(result for result in inspected.results if not result.is_target)
    found = replace(with_target(inspected, 1, state="crowded out", rank=2), results=results)
    assert text.verdict(found)[0] == (
        "The beam returns the tokens of the target, A <red> mug, but some tokens stand for several "
        "items, and others fill the 2 places. Exact search does not return it: its tokens rank 2nd "
        "in the whole catalog."
    )


def test_levels_are_named_in_their_order(inspected):
    lost = [
        replace(inspected.results[1], exact_rank=rank, lost_at=level)
        for rank, level in enumerate((10, 2, 10, None), start=1)
    ]
    assert text.verdict(replace(inspected, results=tuple(lost)))[-1] == (
        "Of the exact top 4 the beam returns 0 and lost 4: 1 at level 2, 2 at level 10."
    )


def test_a_target_that_the_beam_returns(inspected):
    first, target, *rest = inspected.results
    results = (first, replace(target, beam_rank=2, lost_at=None), *rest)
    found = replace(inspected, results=results, beam_exact=True)
    assert text.verdict(found) == [
        "The beam returns the target, A <red> mug, at rank 2. Exact search returns it at rank 2.",
        "The beam returns all of the exact top 2 and proved it by itself.",
    ]
    promoted = replace(found, results=(first, replace(results[1], exact_rank=None)))
    assert text.verdict(promoted)[0].endswith("Exact search does not return it.")


def test_a_retired_target_none_and_no_proof(inspected):
    retired = text.verdict(replace(inspected, target_retired=True))
    assert retired[0] == "The target, A <red> mug, is retired: no search returns it."
    sentences = text.verdict(replace(inspected, target=None, exact_proved=False))
    assert len(sentences) == 2
    assert sentences[0].startswith("Exact search reached its limit before it could prove")


def test_notes_on_results(inspected):
    assert [text.results_note(result, inspected) for result in inspected.results] == [
        "",
        "target, the beam lost it at level 1",
        "not among the best 2",
    ]
    unreturned = replace(inspected.results[0], beam_rank=None)
    assert text.results_note(unreturned, inspected) == "not returned by the beam"
