"""A survival report as one HTML file that opens from disk: no network, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape

from beamwise.evaluation.survival_figures import Survival
from beamwise.report.survival_panels import PANELS, Panel
from beamwise.report.survival_plot import panel_svg
from beamwise.report.survival_tables import Table, tables
from beamwise.report.survival_text import Finding, findings, percent

INK = "#010203"
"""Stands for the colour of the page's text in drawings, and is replaced by it."""
BLUE = "#0072b2"
"""The first model's colour, which a dark page has brighter."""
STYLE_SHEET = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --soft: #5c5c5c; --line: #ddd;
  --card: #f6f6f4; --mark: #0b6e4f; --blue: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --ink: #e8e6e3; --soft: #a5a39f;
  --line: #3a3d42; --card: #1f2226; --mark: #6fcf97; --blue: #4ba3e3; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.2rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .soft { color: var(--soft); font-size: .9rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(21rem, 1fr)); }
.panels { grid-template-columns: repeat(auto-fit, minmax(27rem, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .9rem 1rem; min-width: 0; }
.numbers { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; margin: .2rem 0 .6rem; }
.numbers b { display: block; font-size: 1.35rem; line-height: 1.2; }
dt { font-weight: 600; margin-top: .8rem; } dd { margin: .1rem 0 0; }
.do { border-left: 3px solid var(--mark); padding-left: .6rem; margin-top: .3rem; }
.scroll { overflow-x: auto; } svg { width: 100%; height: auto; color: var(--ink); }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; vertical-align: bottom; } th:first-child, td:first-child {
  text-align: left; white-space: nowrap; }
@media (max-width: 30rem) { .grid, .panels { grid-template-columns: 1fr; } }
"""


def survival_page(survivals: Mapping[str, Survival], title: str) -> str:
    """The whole page.

    Args:
        survivals: By the name of the model, shown in this order.
        title: What was measured, as the heading.

    Raises:
        ValueError: If there are no models, or more than colours to tell them apart.
    """
    body = "\n".join(_body(survivals, title))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE_SHEET}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _body(survivals: Mapping[str, Survival], title: str) -> Iterator[str]:
    config = next(iter(survivals.values())).config
    yield f"<h1>{escape(title)}</h1>"
    yield (
        '<p class="soft">An item is generated token by token, and a beam keeps only the best '
        f"{config.beam_width} prefixes at each level. This page shows which targets were lost on "
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
    for table in tables(survivals):
        yield _table(table)


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
    svg = panel_svg(panel, survivals, INK)
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = svg.replace(BLUE, "var(--blue)")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(panel.heading)}" ', 1)
    return (
        f'<figure class="card" style="margin:0"><h3>{escape(panel.heading)}</h3>{svg}'
        f'<figcaption class="soft">{escape(panel.meaning)}</figcaption></figure>'
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        f'<h2>{escape(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><p class="soft">{escape(table.note)}</p>'
    )
