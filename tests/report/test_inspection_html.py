"""The page of an inspection is whole by itself, and shows what there is."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from beamwise.report.inspection_html import CARD_WIDTH, COLUMN_GAP, MOST_SURVIVORS, inspection_page


class Reader(HTMLParser):
    """Tags that stay open, all attributes, and the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.attributes, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def classes(self, tag):
        return [attrs.get("class", "") for name, attrs in self.attributes if name == tag]


def test_the_page_is_closed_escaped_and_needs_nothing_else(inspected):
    page = inspection_page(inspected)
    reader = Reader(page)
    assert reader.open == []
    assert "A <red> mug" in reader.texts
    assert "2 items, the oldest first; 20 at most are read" in reader.texts
    assert not re.search(r"https?:|url\(|@import|<script|<link|src=", page)
    assert "prefers-color-scheme: dark" in page


def test_every_prefix_has_a_card_in_the_column_of_its_level(inspected):
    reader = Reader(inspection_page(inspected))
    cards = [
        (attrs["class"], attrs["style"])
        for tag, attrs in reader.attributes
        if tag == "div" and attrs.get("class", "").startswith("card ")
    ]
    assert [name for name, _ in cards] == [
        "card kept", "card kept", "card pruned target", "card pruned",
        "card returned", "card returned", "card outscored",
    ]  # fmt: skip
    second = CARD_WIDTH + COLUMN_GAP
    assert [style.split("px")[0] for _, style in cards] == ["left:0"] * 4 + [f"left:{second}"] * 3
    assert len({style for _, style in cards}) == 7  # none on top of another


def test_lines_join_a_prefix_to_what_it_extends(inspected):
    reader = Reader(inspection_page(inspected))
    assert reader.classes("path") == ["outscored", "returned", "returned"]
    on_target = replace(inspected.levels[1].survivors[1], is_target=True)
    level = replace(inspected.levels[1], survivors=(inspected.levels[1].survivors[0], on_target))
    reader = Reader(inspection_page(replace(inspected, levels=(inspected.levels[0], level))))
    assert reader.classes("path") == ["outscored", "returned", "target"]


def test_results_are_marked(inspected):
    reader = Reader(inspection_page(inspected))
    assert reader.classes("tr") == ["", "", "target lost", "extra"]
    assert "The beam for user u<1>, test target, leave-one-out" in reader.texts


def test_a_wide_beam_shows_its_best_and_what_matters(inspected):
    level = inspected.levels[0]
    plain = replace(level.survivors[1], exact_ranks=())
    many = tuple(replace(plain, node=100 + place) for place in range(MOST_SURVIVORS + 5))
    level = replace(level, survivors=(*many, replace(plain, node=7, exact_ranks=(1,))))
    page = inspection_page(replace(inspected, levels=(level,)))
    assert page.count('class="card kept"') == MOST_SURVIVORS + 1 + 1  # one is the legend's
    assert "5 more kept; 4 lost, 2 shown" in page


def test_titles_have_a_line_of_their_own(inspected):
    first = inspected.levels[0]
    partly = replace(first.survivors[0], text="A <red…", codes=None)
    whole = replace(first.survivors[1], text="A <red> mug", codes=None, num_items=1)
    level = replace(first, survivors=(partly, whole), lost=())
    page = inspection_page(replace(inspected, levels=(level,), level_name="token"))
    assert "The beam, token by token" in page
    for line in (
        '<div class="names"><div><b>A &lt;red…</b></div><div>A &lt;red&gt; mug</div></div>',
        '<div class="names"><div><b>A &lt;red&gt; mug</b></div></div>',
    ):
        assert line in page


def test_an_empty_history_without_a_target(inspected):
    changed = replace(
        inspected, user_id=None, split=None, history=(), target=None, codebook_size=None,
        skipped=("no",), num_unread=3,
    )  # fmt: skip
    reader = Reader(inspection_page(changed))
    for text in ("The beam for a history", "nothing: a new user", "no"):
        assert text in reader.texts
    assert "history (3 older ones unread)" in reader.texts
    assert not any("leads to the target" in text for text in reader.texts)
