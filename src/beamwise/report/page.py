"""What the pages of reports share: one HTML file that opens from disk, light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

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


def page(title: str, body: str, style: str = "") -> str:
    """The whole file, with nothing to fetch from anywhere.

    Args:
        title: Of the window.
        body: HTML.
        style: Rules beside those that all pages have.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE_SHEET}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def figure(heading: str, svg: str, caption: str) -> str:
    """A drawing between its heading and a word on how to read it."""
    return (
        f'<figure class="card" style="margin:0"><h3>{escape(heading)}</h3>{svg}'
        f'<figcaption class="soft">{escape(caption)}</figcaption></figure>'
    )


def row(cells: Iterable[str], tag: str = "td") -> str:
    """Texts as a row of a table."""
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """Rows of HTML as a table that scrolls sideways where it is too wide."""
    return (
        f'<div class="scroll"><table><thead>{"".join(head)}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
