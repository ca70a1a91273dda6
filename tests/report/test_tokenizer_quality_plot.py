"""What the picture of a tokenizer's quality shows."""

import re

import numpy as np
import pytest

from beamwise.report.panels import COLOURS
from beamwise.report.tokenizer_quality_plot import plot_quality
from beamwise.tokenization.quality import measure_quality


def measured(seed=0, num_items=60, num_levels=3, has_vectors=True, codebook_size=4):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, codebook_size, (num_items, num_levels)).astype(np.int32)
    vectors = rng.standard_normal((num_items, 5)).astype(np.float32) if has_vectors else None
    return measure_quality(codes, vectors, codebook_size)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw, and give the panels as matplotlib has them."""
    from matplotlib.figure import Figure

    figures = []
    savefig = Figure.savefig

    def keep(self, *args, **settings):
        figures.append(self)
        return savefig(self, *args, **settings)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(quality):
        plot_quality(quality, tmp_path / "quality.png")
        assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")
        return figures[-1].axes

    return draw


def lines(axes):
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def among(values, all_lines):
    return any(len(line) == len(values) and np.allclose(line, values) for line in all_lines)


def test_one_tokenizer(drawn):
    quality = measured()
    use, variance, sharing, groups = drawn(quality)
    assert [tuple(line) for line in lines(use)] == [x.items_by_rank for x in quality.use.levels]
    assert legend(use) == [
        f"level {n}: {x.perplexity:.1f}" for n, x in enumerate(quality.use.levels, 1)
    ]
    for name in ("error", "error_by_chance", "within_prefix", "within_prefix_by_chance"):
        shares = [100, *(100 * vars(left)[name] for left in quality.variance)]
        assert among(shares, lines(variance))
    for name in ("neighbours", "at_most", "random_pairs"):
        shares = [100 * vars(near)[name] for near in quality.neighbourhood.lengths]
        assert among(shares, lines(sharing))
    ticks = [text.get_text() for text in sharing.get_xticklabels()]
    assert ticks[0] == f"1\n{quality.neighbourhood.lengths[0].lift:.1f}"
    assert sum(bar.get_height() for bar in groups.patches) == quality.use.distinct_ids


def test_several_tokenizers(drawn):
    qualities = {
        "ours": measured(),
        "random": measured(1),
        "published": measured(2, has_vectors=False),
    }
    use, variance, sharing, groups = drawn(qualities)
    for quality in qualities.values():
        assert among(quality.use.levels[0].items_by_rank, lines(use))
        least = min(quality.use.levels, key=lambda level: level.perplexity)
        assert among(least.items_by_rank, lines(use))
    for name in ("ours", "random"):
        quality = qualities[name]
        assert among([100, *(100 * left.error for left in quality.variance)], lines(variance))
        shares = [100 * near.neighbours for near in quality.neighbourhood.lengths]
        assert among(shares, lines(sharing))
    assert {line.get_color() for line in variance.lines} == set(COLOURS[:2])
    ids = sum(quality.use.distinct_ids for quality in qualities.values())
    assert sum(bar.get_height() for bar in groups.patches) == ids
    assert {line.get_color() for line in use.lines} == set(COLOURS[:3])
    (names,) = use.figure.legends
    assert [text.get_text() for text in names.get_texts()] == list(qualities)


def test_all_is_said_in_words(tmp_path):
    plot_quality({"ours": measured(), "theirs": measured(1)}, tmp_path / "quality.svg")
    words = re.findall(r"<!-- (.*?) -->", (tmp_path / "quality.svg").read_text())
    for text in ("How evenly codes are used", "Collisions", "ours", "theirs", "random pairs"):
        assert text in words


@pytest.mark.parametrize("names", [1, 2])
def test_without_vectors(drawn, names):
    quality = measured(has_vectors=False)
    _, variance, sharing, _ = drawn(quality if names == 1 else {"a": quality, "b": quality})
    for axes in (variance, sharing):
        assert any("not measured" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_items": 1, "num_levels": 1},
        {"num_levels": 1},
        {"num_levels": 9, "codebook_size": 2},
        {"num_items": 2_000, "codebook_size": 300},
        {"num_items": 40, "codebook_size": 1},
    ],
)
def test_unusual_shapes_are_drawn(drawn, settings):
    assert len(drawn(measured(**settings))) == 4
    assert len(drawn({"a": measured(**settings), "b": measured()})) == 4


def test_a_suffix_is_not_drawn(drawn):
    codes = np.array([[0, 0], [0, 1], [1, 0]], dtype=np.int32)
    use, *_ = drawn(measure_quality(codes, None, 2, num_meaningful_levels=1))
    assert len(use.lines) == 1


@pytest.mark.parametrize("number", [0, 8])
def test_more_than_there_are_colours_is_refused(tmp_path, number):
    qualities = dict.fromkeys(map(str, range(number)), measured())
    with pytest.raises(ValueError, match=f"got {number} tokenizers to draw: give 1 to 7"):
        plot_quality(qualities, tmp_path / "quality.png")


def test_without_a_lift_none_is_named(drawn):
    codes = np.arange(6, dtype=np.int32)[:, None]  # no two items share a code: no pair, no lift
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    _, _, sharing, _ = drawn(measure_quality(codes, vectors, 8))
    assert sharing.get_xlabel() == "first codes that are equal"
    assert [tick.get_text() for tick in sharing.get_xticklabels()] == ["1"]
