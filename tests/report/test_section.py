"""Sections are data: kept as JSON, read back the same, refused where they make no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.report.section import (
    Axis,
    Chart,
    Column,
    Estimate,
    Section,
    Series,
    Table,
    estimates,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(
    st.none(),
    st.text(),
    st.integers(-(2**60), 2**60),
    FINITE,
    st.builds(
        lambda mean, ends: Estimate(mean=mean, low=min(ends), high=max(ends)),
        FINITE,
        st.tuples(FINITE, FINITE),
    ),
)


@given(rows=st.lists(st.tuples(st.text(), VALUES), max_size=4))
def test_a_section_comes_back_from_json_with_values_of_the_same_kind(rows):
    table = Table(name="t", title="T", columns=(Column(name="a"), Column(name="b")), rows=rows)
    section = Section(name="s", title="S", tables=(table,))
    again = Section.model_validate_json(section.model_dump_json())
    assert again == section
    for before, after in zip(section.tables[0].rows, again.tables[0].rows, strict=True):
        assert list(map(type, before)) == list(map(type, after))


def test_saved_and_loaded(full_section, tmp_path):
    full_section.save(tmp_path / "table1.json")
    assert Section.load(tmp_path / "table1.json") == full_section
    assert [path.name for path in tmp_path.iterdir()] == ["table1.json"]


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b'{"name": "a"}', b"[]"])
def test_what_is_no_section_is_refused(content, tmp_path):
    path = tmp_path / "s.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"s\.json is missing, damaged or no section"):
        Section.load(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Estimate(mean=1, low=0), "two ends"),
        (lambda: Estimate(mean=1, low=2, high=0), "begins below its end, got 2.0 to 0.0"),
        (lambda: Axis(label="a", log=True, from_zero=True), "no zero to begin with"),
        (lambda: Series(name="a", x=(1,), y=()), "1 places, 0 values"),
        (
            lambda: Table(name="t", title="", columns=(Column(name="a"),), rows=((1, 2),)),
            "a row has 2 cells, there are 1 columns",
        ),
        (lambda: Section(name="Not a slug", title=""), "should match pattern"),
    ],
)
def test_nonsense_is_refused(make, words):
    with pytest.raises(ValidationError, match=words):
        make()


def test_two_parts_of_the_same_name_are_refused():
    table = Table(name="same", title="", columns=(Column(name="a"),), rows=())
    axis = Axis(label="")
    line = Series(name="a", x=(1,), y=estimates([2.0]))
    chart = Chart(name="same", title="", kind="lines", x=axis, y=axis, series=(line,))
    with pytest.raises(ValidationError, match="two parts named same"):
        Section(name="s", title="", tables=(table,), charts=(chart,))


def test_values_without_intervals():
    assert estimates([1.0, 0.5]) == (Estimate(mean=1.0), Estimate(mean=0.5))
