"""What the report says, read as text."""

import numpy as np
import pytest

from beamwise.report.tokenizer_quality import (
    group_size_bins,
    quality_comparison_markdown,
    quality_markdown,
)
from beamwise.tokenization.quality import measure_quality

CODES = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]], dtype=np.int32)
VECTORS = np.array([[0, 1], [0, 2], [4, 1], [5, 1], [5, 1]], dtype=np.float32)


def quality(codes=CODES, vectors=VECTORS, codebook_size=2, **settings):
    return measure_quality(codes, vectors, codebook_size, **settings)


def rows(text):
    """The cells of all table rows."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_report_golden():
    text = quality_markdown(quality(), "Codes of five items", {"seed": 0})
    assert text.startswith(
        "# Codes of five items\n\n5 items, 2 levels of 2 codes: **4 distinct IDs**."
    )
    table = rows(text)
    assert ["`seed`", "`0`"] in table
    assert ["1", "2 of 2", "2.0", "3 (60.0%)", "2"] in table  # exp(H(.4, .6)) = 1.96
    assert ["2", "2 of 2", "2.0", "3 (60.0%)", "4"] in table
    assert [row for row in table if len(row) == 2][-2:] == [["1", "3"], ["2", "1"]]
    assert "2 items of 5 (40.0%) have an ID that another item has too" in text
    assert "the largest group has 2 items" in text
    assert "1 item with the vector of an earlier item, 0 items with a zero vector" in text


def test_figures_are_those_measured():
    measured = quality()
    table = rows(quality_markdown(measured, "t"))
    for level, left in enumerate(measured.variance, start=1):
        shares = (
            left.error,
            left.error_by_chance,
            left.within_prefix,
            left.within_prefix_by_chance,
        )
        assert [str(level), *(f"{share:.1%}" for share in shares)] in table
    for length, near in enumerate(measured.neighbourhood.lengths, start=1):
        shares = (f"{near.neighbours:.2%}", f"{near.at_most:.2%}", f"{near.random_pairs:.3%}")
        end = (f"{near.lift:.1f}", f"{near.cosine_with_equal_prefix:.3f}")
        assert [str(length), *shares, *end] in table


def test_every_table_is_rectangular():
    text = quality_markdown(quality(), "t", {"a|b": "c|d"}) + quality_comparison_markdown(
        {"x": quality(), "y": quality(vectors=None)}
    )
    for block in text.split("\n\n"):
        if block.startswith("|"):
            bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(bars) == 1
    assert "`a\\|b`" in text


def test_warnings_come_first():
    measured = quality()
    text = quality_markdown(measured, "t", {"seed": 0})
    assert measured.warnings
    first = measured.warnings[0]
    line = f"- **{first.what[0].upper()}{first.what[1:]}.** Remedy: {first.remedy}."
    assert line in text
    assert text.index("## Warnings") < text.index(line) < text.index("## Settings")


def test_no_warnings_are_said():
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.int32)
    assert "None: nothing looks collapsed." in quality_markdown(quality(codes, None), "t")


def test_settings_are_flat_and_may_be_left_out():
    settings = {"quantizer": {"name": "rq-kmeans", "num_levels": 4}, "collisions": "share"}
    table = rows(quality_markdown(quality(), "t", settings))
    assert ["`quantizer.name`", "`rq-kmeans`"] in table
    assert ["`quantizer.num_levels`", "`4`"] in table
    assert ["`collisions`", "`share`"] in table
    settings = {"codebook_size": None, "balanced": True, "dims": [4, 2]}
    text = quality_markdown(quality(), "t", settings)
    assert "| setting | value |\n| --- | --- |\n| `codebook_size` | `null` |" in text
    assert "| `balanced` | `true` |" in text
    assert "| `dims` | `[4, 2]` |" in text
    assert "## Settings" not in quality_markdown(quality(), "t")


def test_without_vectors():
    text = quality_markdown(quality(vectors=None), "t")
    assert text.count("Not measured: there were no item vectors.") == 2


def test_equal_and_zero_vectors():
    assert "all item vectors are equal" in quality_markdown(quality(vectors=VECTORS * 0 + 1), "t")
    text = quality_markdown(quality(vectors=VECTORS * 0), "t")
    assert "fewer than two item vectors are not zero" in text


def test_one_item_and_one_level():
    text = quality_markdown(quality(CODES[:1, :1], VECTORS[:1], 1), "t")
    assert "1 item, 1 level of 1 code: **1 distinct ID**." in text


def test_suffix_is_told():
    suffixed = np.concatenate([CODES, [[0], [0], [0], [0], [1]]], axis=1).astype(np.int32)
    text = quality_markdown(quality(suffixed, num_meaningful_levels=2), "t")
    assert "**5 distinct IDs** with a suffix of 1 level, 4 without" in text
    assert ["3 (suffix)", "2", "1.6", "4 (80.0%)", "5"] in rows(text)


def test_bins_of_group_sizes():  # groups of 1, 1, 2, 3, 4 and 5 items
    firsts = np.repeat(np.arange(6), [1, 1, 2, 3, 4, 5])[:, None].astype(np.int32)
    use = quality(firsts, None, 6).use
    assert group_size_bins(use) == {"1": 2, "2": 1, "3-4": 2, "5-8": 1}


def test_comparison_has_a_column_each():
    other = quality(CODES[:, :1], None)
    table = rows(quality_comparison_markdown({"ours": quality(), "published": other}))
    assert table[0] == ["", "ours", "published"]
    held = {row[0]: row[1:] for row in table[2:]}
    assert held["items"] == ["5", "5"]
    assert held["levels x codes"] == ["2 x 2", "1 x 2"]
    assert held["distinct IDs"] == ["4", "2"]
    assert held["items with an ID that another has"] == ["2", "5"]
    assert held["distinct prefixes up to level 1"] == ["2", "2"]
    assert held["distinct prefixes up to level 2"] == ["4", "-"]
    left = quality().variance[0]
    shown = f"{left.error:.1%} ({left.error_by_chance:.1%})"
    assert held["variance left (by chance), level by level, after level 1"] == [shown, "-"]
    names = [row[0] for row in table[2:]]
    assert len(set(names)) == len(names)


def test_levels_are_in_order_when_there_are_ten():
    codes = np.random.default_rng(0).integers(0, 2, (40, 11)).astype(np.int32)
    table = rows(quality_comparison_markdown({"long": quality(codes, None)}))
    levels = [row[0].split()[-1] for row in table if row[0].startswith("perplexity")]
    assert levels == [str(level) for level in range(1, 12)]


def test_comparison_tells_whose_warnings():
    text = quality_comparison_markdown({"ours": quality(), "theirs": quality(CODES[:2], None)})
    assert text.index("Warnings on ours:") < text.index("Warnings on theirs:")


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="no tokenizers to compare: give at least one"):
        quality_comparison_markdown({})
