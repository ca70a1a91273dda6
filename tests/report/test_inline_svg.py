"""Drawings that stand in pages."""

from matplotlib.figure import Figure

from beamwise.report.inline_svg import INK, drawn_svg, in_page


def small():
    figure = Figure(figsize=(1, 1))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#0072B2", marker="o")
    axes.set_xlabel("a <label>")
    return figure


def test_text_is_text_in_the_ink_on_no_background():
    svg = drawn_svg(small, "#123456", "salt")
    assert "a &lt;label&gt;</text>" in svg
    assert "fill: #123456" in svg
    assert "opacity: 0" in svg
    assert svg == drawn_svg(small, "#123456", "salt")


def test_names_differ_by_salt():
    assert drawn_svg(small, INK, "one") != drawn_svg(small, INK, "other")


def test_in_a_page_the_ink_is_the_text_colour_and_colours_are_replaced():
    svg = in_page(drawn_svg(small, INK, "salt"), 'say "&"', {"#0072b2": "var(--blue)"})
    assert svg.startswith('<svg role="img" aria-label="say &quot;&amp;&quot;" ')
    assert INK not in svg
    assert "fill: currentColor" in svg
    assert "#0072b2" not in svg
    assert "stroke: var(--blue)" in svg
    assert "<metadata>" not in svg
