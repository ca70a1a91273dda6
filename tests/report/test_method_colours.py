"""One colour a method everywhere, and no two series of a chart alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.objectives import OBJECTIVES
from beamwise.report.method_colours import (
    KNOWN,
    MARKERS,
    METHODS,
    PALETTE,
    SEARCHES,
    Look,
    colour_of,
    family_of,
    looks,
)

NAMES = st.one_of(
    st.sampled_from([*KNOWN, "ce-dpo", "CE -> S-DPO", "apao-pairwise-beam20", "beam search"]),
    st.sampled_from(["a", "b", "β", "η", "third of ours", "->"]),
)


def test_every_objective_has_its_colour():
    assert set(OBJECTIVES) <= set(METHODS)


def test_no_two_methods_look_the_same_and_the_objectives_of_a_chart_of_beams_differ_in_colour():
    for looks_alike in (lambda look: (look.colour, look.marker), lambda look: look[::3]):
        assert len(set(map(looks_alike, METHODS.values()))) == len(METHODS)
    kinds = ("ce", "msl", "s-dpo", "apao-pointwise", "apao-pairwise", "bear", "prefix-survival")
    assert {METHODS[name].colour for name in kinds} == set(PALETTE)


def test_searches_have_colours_that_no_method_has():
    assert {look.colour for look in SEARCHES.values()}.isdisjoint(
        {look.colour for look in METHODS.values()} | set(PALETTE)
    )
    beam, exact, sort, paper = looks(["beam search", "exact ranking", "full sort", "paper"])
    assert len({beam[:2], exact[:2], sort[:2], paper[:2]}) == 4


def test_the_forms_of_bear_share_a_colour_and_look_the_same_in_every_chart():
    forms = ["bear-hinge", "bear-log-sigmoid", "bear-reweight"]
    together = looks(forms)
    assert len({look.colour for look in together}) == 1
    assert len({look.dash for look in together}) == 3
    assert [looks(["dmpo", form])[1] for form in forms] == together


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("ce", "ce"),
        ("CE", "ce"),
        ("ce-tuned", "ce-tuned"),
        ("ce-before", "ce"),
        ("ce-tuned-dpo", "dpo"),
        ("bear-hinge", "bear-hinge"),
        ("ce-dpo", "dpo"),
        ("CE→S-DPO", "s-dpo"),
        ("CE -> DMPO", "dmpo"),
        ("ce-apao-pairwise", "apao-pairwise"),
        ("ce-apao-pairwise-beam20", "apao-pairwise"),
        ("APAO (pointwise)", "apao-pointwise"),
        ("apao-pairwise-beam20", "apao-pairwise"),
        ("s-dpo-one-stage", "s-dpo"),
        ("item-kNN", "item-knn"),
        ("beam search, K = 20", "beam-search"),
        ("prefix-survival", "prefix-survival"),
        ("cedar", None),
        ("β", None),
    ],
)
def test_families(name, family):
    assert family_of(name) == family
    assert colour_of(name) == (KNOWN[family].colour if family else None)


@given(methods=st.lists(NAMES, max_size=12))
def test_no_two_series_look_the_same(methods):
    found = looks(methods)
    assert len(found) == len(methods)
    assert len({(look.colour, look.marker) for look in found}) == len(found)
    assert len({(look.colour, look.hatch) for look in found}) == len(found)
    known = {look.colour for look in KNOWN.values()}
    assert {look.colour for look in found} <= set(PALETTE) | known
    assert looks(methods) == found


@given(methods=st.lists(NAMES, max_size=6, unique=True))
def test_a_known_method_has_its_look_and_a_method_given_twice_keeps_it(methods):
    for method, look in zip(methods, looks(methods), strict=True):
        if method in METHODS:
            assert look == METHODS[method]
    twice = looks([*methods, *methods])
    assert twice[: len(methods)] == looks(methods)
    for first, second in zip(twice, twice[len(methods) :], strict=False):
        assert first.colour == second.colour
        assert (first.marker, first.dash) != (second.marker, second.dash)


def test_a_variant_has_the_look_of_its_family_or_beside_it_the_colour_alone():
    assert looks(["ce-s-dpo"]) == [METHODS["s-dpo"]]
    variant, family = looks(["apao-pairwise-beam20", "apao-pairwise"])
    assert family == METHODS["apao-pairwise"]
    assert variant == Look(family.colour, "o", "dashed", "////")


def test_more_variants_than_markers_have_other_colours_too():
    found = looks([f"ce-{number}" for number in range(len(MARKERS) + 1)])
    assert len({look[:2] for look in found}) == len(found)
    assert [look.colour for look in found].count(METHODS["ce"].colour) == len(MARKERS)


def test_unknown_methods_have_colours_that_no_other_has_while_there_are_some():
    known = ["ce", "apao-pairwise"]
    found = looks([*known, *(f"new {number}" for number in range(len(PALETTE) - 2))])
    assert len({look.colour for look in found}) == len(PALETTE)


def test_too_many_of_one_method_are_refused():
    with pytest.raises(ValueError, match=f"more series of one colour than the {len(MARKERS)}"):
        looks(["ce"] * (len(MARKERS) + 1))
