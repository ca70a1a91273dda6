"""Parts of pages."""

from beamwise.report.page import STYLE_SHEET, figure, page, row, table


def test_a_page_is_whole_and_its_title_escaped():
    text = page("<a> & b", "<p>body</p>", "p { margin: 0; }")
    assert text.startswith("<!DOCTYPE html>\n")
    assert "<title>&lt;a&gt; &amp; b</title>" in text
    assert f"<style>{STYLE_SHEET}p {{ margin: 0; }}</style>" in text
    assert "<body>\n<p>body</p>\n</body>" in text
    assert 'name="viewport"' in text


def test_cells_are_escaped():
    assert row(['<b>"', "1"]) == "<tr><td>&lt;b&gt;&quot;</td><td>1</td></tr>"
    assert row(["a"], "th") == "<tr><th>a</th></tr>"


def test_a_table_scrolls():
    shown = table([row(["a"], "th")], [row(["1"]), row(["2"])])
    assert shown == (
        '<div class="scroll"><table><thead><tr><th>a</th></tr></thead>'
        "<tbody><tr><td>1</td></tr><tr><td>2</td></tr></tbody></table></div>"
    )


def test_a_figure_has_heading_and_caption():
    shown = figure("a < b", "<svg></svg>", "c & d")
    assert "<h3>a &lt; b</h3><svg></svg><figcaption" in shown
    assert ">c &amp; d</figcaption>" in shown
