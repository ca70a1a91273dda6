"""One page with everything, that fetches nothing, follows the reader's colours and escapes."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from beamwise.report.inline_svg import INK
from beamwise.report.report_page import ON_DARK, report_page
from beamwise.report.section import Section

OTHER = Section(name="figure3", title="Figure 3", findings=("Nothing <yet>.",))


@pytest.fixture
def page(full_section):
    return report_page([full_section, OTHER], 'Both <papers> & "more"', ["First.", "See `x<y`."])


class Text(HTMLParser):
    """The text of a page as a reader sees it; fails on a tag that closes nothing."""

    void = ("meta", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.ids, self.links = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)
        if "svg" not in self.open:
            named = dict(attrs)
            self.ids += [named["id"]] if "id" in named else []
            self.links += [named["href"]] if "href" in named else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_everything_of_a_section_is_there(full_section, page):
    (table,), (chart,) = full_section.tables, full_section.charts
    words = " ".join(" ".join(Text(page).words).split())
    said = [
        full_section.title,
        full_section.setting,
        *full_section.findings,
        *full_section.missing,
        *full_section.made_by,
        "Five seeds.",
        full_section.command,
        table.title,
        table.note,
        chart.title,
        chart.note,
    ]
    assert [each for each in said if each not in words] == []
    for cell in (".0631", ".0710 [.0690, .0730]", ".0798", "< .001", 'as "printed", <b>'):
        assert cell in words
    assert "First." in words


def test_contents_and_summary_link_to_every_section(page):
    shown = Text(page)
    assert shown.links == ["#table1-office-tiger", "#figure3"] * 2
    assert shown.ids == ["table1-office-tiger", "figure3"]
    in_short = page[page.index("In short") : page.index('id="table1-office-tiger"')]
    assert "MSL gains +.0088." in in_short
    assert "DPO: seed 4" in in_short
    assert "Nothing &lt;yet&gt;." in in_short


def test_nothing_is_fetched(page):
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|src=|url\((?!#)", page)
    hrefs = re.findall(r'href="([^"]*)"', page)
    assert hrefs
    assert all(href.startswith("#") for href in hrefs)


def test_signs_are_escaped_and_code_is_code(page):
    assert "<h1>Both &lt;papers&gt; &amp; &quot;more&quot;</h1>" in page
    assert "<code>x&lt;y</code>" in page
    assert "<b>" not in page.replace("<b>Missing</b>", "").replace("<b>Made by</b>", "")
    assert "<of>" not in page
    assert "<backbones>" not in page
    assert 'aria-label="Quality &lt;of&gt; methods"' in page


def test_a_chart_is_a_drawing_in_colours_that_change_with_the_page(page):
    (drawing,) = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    ElementTree.fromstring(drawing)
    assert "fill: currentColor" in drawing  # text
    assert "stroke: currentColor" in drawing  # intervals are black on white, and not on black
    assert "stroke: var(--c332288)" in drawing  # cross-entropy
    assert "stroke: var(--c009e73)" in drawing
    assert INK not in page
    style = page[: page.index("</style>")]
    dark = style[style.index("dark) { :root { --c332288") :]
    for colour, on_dark in ON_DARK.items():
        assert f"--c{colour[1:].lower()}: {on_dark};" in dark
    assert len(set(ON_DARK.values())) == len(ON_DARK)


def test_columns_of_a_group_share_a_heading(page):
    head = page[page.index("<thead>", page.index('id="table1-office-tiger"')) :]
    head = head[: head.index("</thead>")]
    assert re.findall(r'<th[^>]*colspan="(\d+)">([^<]*)', head) == [
        ("1", ""),
        ("2", "R@20"),
        ("2", ""),
    ]
    assert re.findall(r"<th([^>]*)>(\w+)<", head[head.index("</tr>") :]) == [
        (' class="text"', "method"),
        (' class="start"', "paper"),
        ("", "ours"),
        (' class="start"', "p"),
        (' class="text"', "says"),
    ]


def test_the_same_part_of_two_settings_stands_twice(full_section):
    other = full_section.model_copy(update={"setting": "Beauty, TIGER"})
    shown = Text(report_page([full_section, other], "t", []))
    assert shown.ids == ["table1-office-tiger", "table1-beauty-tiger"]


def test_no_sections_or_two_of_a_name_are_refused():
    with pytest.raises(ValueError, match="at least one section"):
        report_page([], "t", [])
    with pytest.raises(ValueError, match="two sections are named figure3"):
        report_page([OTHER, OTHER], "t", [])
