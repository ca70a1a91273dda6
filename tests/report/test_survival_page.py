"""The page needs no network, follows the reader's colours, and escapes names."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from beamwise.report.survival_page import INK, survival_page
from beamwise.report.survival_panels import PANELS
from beamwise.testing.survival_example import example_survival

SURVIVAL = example_survival()
NAME = "runs/<b>&ce"
PAGE = survival_page({NAME: SURVIVAL, "other": SURVIVAL}, "What the beam lost: test set")


class Balanced(HTMLParser):
    """Fails on a tag that closes nothing."""

    void = ("meta", "br", "img")

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_tags_are_balanced():
    parser = Balanced()
    parser.feed(PAGE)
    assert parser.open == []


def test_nothing_is_fetched():
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(http|src=", PAGE)
    hrefs = re.findall(r'href="([^"]*)"', PAGE)
    assert all(href.startswith("#") for href in hrefs)


def test_every_panel_is_a_drawing_in_the_colour_of_the_text():
    drawings = re.findall(r"<svg.*?</svg>", PAGE, flags=re.DOTALL)
    assert len(drawings) == len(PANELS)
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert "currentColor" in drawing
    assert INK not in PAGE
    for panel in PANELS:
        assert escape(panel.heading) in PAGE


def test_names_are_escaped_and_both_models_shown():
    assert "runs/&lt;b&gt;&amp;ce" in PAGE
    assert "<b>&ce" not in PAGE
    assert "<td>other</td>" in PAGE


def test_light_and_dark():
    assert "prefers-color-scheme: dark" in PAGE


def test_masks_that_differ_are_told():
    before = replace(SURVIVAL, config=SURVIVAL.config.model_copy(update={"mask": "before"}))
    assert "normalised over the whole vocabulary." in PAGE
    text = survival_page({"a": SURVIVAL, "b": before}, "Two masks")
    assert "the whole vocabulary (mask after) or the legal tokens (mask before)." in text


def test_more_models_than_colours_are_refused():
    with pytest.raises(ValueError, match="got 7 models to draw: give 1 to 6"):
        survival_page({str(number): SURVIVAL for number in range(7)}, "many")
