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
    colour_of,
    family_of,
    looks,
)
from beamwise.report.panels import COLOURS

NAMES = st.one_of(
    st.sampled_from([*KNOWN, "ce-dpo", "CE -> S-DPO", "apao-pairwise-beam20", "beam search"]),
    st.sampled_from(["a", "b", "β", "η", "third of ours", "->"]),
)


def test_every_objective_has_its_colour():
    assert set(OBJECTIVES) <= set(METHODS)


def test_no_two_methods_look_the_same_and_the_seven_of_the_paper_differ_in_colour():
    assert len(set(METHODS.values())) == len(METHODS)
    paper = ("ce", "msl", "dpo", "dmpo", "s-dpo", "apao-pointwise", "apao-pairwise")
    assert {METHODS[name][0] for name in paper} == set(COLOURS)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("ce", "ce"),
        ("CE", "ce"),
        ("ce-tuned", "ce"),
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
    assert colour_of(name) == (KNOWN[family][0] if family else None)


@given(methods=st.lists(NAMES, max_size=24))
def test_no_two_series_look_the_same(methods):
    found = looks(methods)
    assert len(found) == len(methods)
    assert len({(look.colour, look.marker) for look in found}) == len(found)
    assert len({(look.colour, look.hatch) for look in found}) == len(found)
    assert {look.colour for look in found} <= set(PALETTE)
    assert looks(methods) == found


@given(methods=st.lists(NAMES, max_size=12, unique=True))
def test_a_known_method_has_its_colour_and_a_method_given_twice_keeps_it(methods):
    for method, look in zip(methods, looks(methods), strict=True):
        if method in METHODS:
            assert (look.colour, look.marker) == METHODS[method]
    twice = looks([*methods, *methods])
    assert twice[: len(methods)] == looks(methods)
    for first, second in zip(twice, twice[len(methods) :], strict=False):
        assert first.colour == second.colour
        assert (first.marker, first.dash) != (second.marker, second.dash)


def test_a_variant_has_the_colour_of_its_family_only_without_it():
    (alone,) = looks(["apao-pairwise-beam20"])
    assert alone.colour == colour_of("apao-pairwise")
    variant, family = looks(["apao-pairwise-beam20", "apao-pairwise"])
    assert family.colour == colour_of("apao-pairwise")
    assert variant.colour != family.colour


def test_unknown_methods_have_colours_that_no_other_has_while_there_are_some():
    known = ["ce", "apao-pairwise"]
    found = looks([*known, *(f"new {number}" for number in range(len(PALETTE) - 2))])
    assert len({look.colour for look in found}) == len(PALETTE)


def test_too_many_of_one_method_are_refused():
    with pytest.raises(ValueError, match=f"more series of one colour than the {len(MARKERS)}"):
        looks(["ce"] * (len(MARKERS) + 1))
