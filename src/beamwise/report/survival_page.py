"""A survival report as one HTML file that opens from disk: no network, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from beamwise.evaluation.survival_figures import Survival
from beamwise.report.inline_svg import INK, in_page
from beamwise.report.page import figure, page, row, table
from beamwise.report.survival_panels import PANELS, Panel
from beamwise.report.survival_plot import panel_svg
from beamwise.report.survival_tables import Table, tables
from beamwise.report.survival_text import Finding, findings, percent

BLUE = {"#0072b2": "var(--blue)"}
"""The first model's colour, which a dark page has brighter."""


def survival_page(survivals: Mapping[str, Survival], title: str) -> str:
    """The whole page.

    Args:
        survivals: By the name of the model, shown in this order.
        title: What was measured, as the heading.

    Raises:
        ValueError: If there are no models, or more than colours to tell them apart.
    """
    return page(title, "\n".join(_body(survivals, title)))


def _body(survivals: Mapping[str, Survival], title: str) -> Iterator[str]:
    config = next(iter(survivals.values())).config
    yield f"<h1>{escape(title)}</h1>"
    yield (
        '<p class="soft">An item is generated token by token, and a beam keeps only the best '
        f"{config.beam_width} prefixes after each. This page shows which targets were lost on "
        f"the way, where, and whether a better search or a better model would find them. Results "
        f"are the best {config.top_k}; probabilities are normalised over "
        f"{_normalised_over(survivals)}.</p>"
    )
    yield '<h2>In short</h2><div class="grid">'
    for name, survival in survivals.items():
        yield _card(name, survival)
    yield '</div><h2>Figures</h2><div class="grid panels">'
    for panel in PANELS:
        yield _figure(panel, survivals)
    yield "</div>"
    for each in tables(survivals):
        yield _table(each)


def _normalised_over(survivals: Mapping[str, Survival]) -> str:
    """What probabilities are shares of; with the masks where models differ in them."""
    over = {"after": "the whole vocabulary", "before": "the legal tokens"}
    masks = list(dict.fromkeys(each.config.mask for each in survivals.values()))
    if len(masks) == 1:
        return over[masks[0]]
    return " or ".join(f"{over[mask]} (mask {mask})" for mask in masks)


def _card(name: str, survival: Survival) -> str:
    k, beam, advice = survival.config.top_k, survival.beam, survival.advice()
    numbers = {
        f"recall@{k}, beam of {beam.width}": f"{beam.mean(f'recall@{k}'):.4f}",
        f"recall@{k}, exact": f"{survival.exact[f'recall@{k}']:.4f}",
        f"true best {k} returned": percent(beam.retention),
        "advised width": "exact" if advice.width is None else str(advice.width),
    }
    shown = "".join(
        f'<div><b>{escape(value)}</b><span class="soft">{escape(label)}</span></div>'
        for label, value in numbers.items()
    )
    said = "".join(_finding(each) for each in findings(survival))
    return (
        f'<section class="card"><h3>{escape(name)}</h3><div class="numbers">{shown}</div>'
        f"<dl>{said}</dl></section>"
    )


def _finding(finding: Finding) -> str:
    advice = f'<dd class="do">{escape(finding.advice)}</dd>' if finding.advice else ""
    return f"<dt>{escape(finding.heading)}</dt><dd>{escape(finding.text)}</dd>{advice}"


def _figure(panel: Panel, survivals: Mapping[str, Survival]) -> str:
    svg = in_page(panel_svg(panel, survivals, INK), panel.heading, BLUE)
    return figure(panel.heading, svg, panel.meaning)


def _table(shown: Table) -> str:
    cells = table([row(shown.header, "th")], map(row, shown.rows))
    return f'<h2>{escape(shown.title)}</h2>{cells}<p class="soft">{escape(shown.note)}</p>'
