"""One width for all levels, or one a level."""

from __future__ import annotations

import pytest

from beamwise.objectives.beam_widths import beam_widths, check_beam_width


def test_one_width_stands_for_all_levels() -> None:
    assert beam_widths(7).tolist() == [7]
    assert beam_widths((5, 3)).tolist() == [5, 3]
    check_beam_width(7, 4)
    check_beam_width((5, 3), 2)


@pytest.mark.parametrize("widths", [(), (5,), (5, 3, 2)])
def test_widths_that_are_not_one_a_level_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"one for each of 2 levels, got \["):
        check_beam_width(widths, 2)
