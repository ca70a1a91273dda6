"""How the page of an inspection looks, on light and on dark screens."""

from __future__ import annotations

STYLE_SHEET = """
:root { color-scheme: light dark; --page: #fbfbfa; --text: #1c1c1a; --soft: #5e5e5a;
  --card: #ffffff; --edge: #c9c9c4; --lost: #f1f0ee; --bar: #cfe3f3; --ours: #0072b2;
  --target: #c24a00; --best: #8a6100; --line: #b9b9b4; }
@media (prefers-color-scheme: dark) { :root { --page: #161718; --text: #e9e9e6; --soft: #a3a39e;
  --card: #222426; --edge: #4a4d50; --lost: #1b1c1d; --bar: #1f3f57; --ours: #6bb5e6;
  --target: #ff8f4d; --best: #e9b949; --line: #55585b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px 28px 48px; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 22px; margin: 0 0 12px; } h2 { font-size: 17px; margin: 28px 0 8px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0 0 12px; }
dt { color: var(--soft); } dd { margin: 0; } ol { margin: 4px 0; }
.verdict { border-left: 4px solid var(--target); padding: 2px 14px; max-width: 900px; }
.verdict p { margin: 6px 0; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; color: var(--soft); font-size: 13px; }
.legend i { position: static; display: inline-block; width: 26px; height: 14px; padding: 0;
  margin-right: 6px; vertical-align: -2px; }
.scroll { overflow-x: auto; padding-bottom: 8px; }
.beam { position: relative; font-size: 12px; }
.beam svg { position: absolute; left: 0; top: 0; fill: none; }
.beam path { stroke: var(--ours); stroke-width: 1.3; opacity: .55; }
.beam path.pruned, .beam path.outscored { stroke: var(--line); stroke-dasharray: 3 3; }
.beam path.target { stroke: var(--target); stroke-width: 2.6; opacity: 1; }
.head, .divider { position: absolute; line-height: 1.35; }
.head b { font-size: 13px; display: block; } .head small { color: var(--soft); font-size: 11px; }
.divider { color: var(--soft); border-top: 2px solid var(--edge); padding-top: 3px;
  margin-top: 6px; }
.card { position: absolute; background: var(--card); border: 1.5px solid var(--ours);
  border-radius: 5px; padding: 4px 8px; overflow: hidden; }
.card.returned { border-width: 2.5px; }
.card.pruned, .card.outscored { border: 1.5px dashed var(--edge); background: var(--lost);
  color: var(--soft); }
.card.target { border-color: var(--target); border-width: 2.5px; color: var(--text); }
.bar { position: absolute; left: 0; top: 0; bottom: 0; background: var(--bar); min-width: 2px; }
.line { position: relative; display: flex; gap: 8px; align-items: baseline; }
.rank { color: var(--soft); min-width: 22px; } .score { margin-left: auto; white-space: nowrap; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-weight: 600;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.names b { color: var(--text); font-size: 12px; }
.score small { color: var(--soft); display: inline-block; min-width: 52px; text-align: right; }
.names { position: relative; line-height: 1.3; font-size: 11px; color: var(--soft); }
.names div { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.best { color: var(--best); }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
td:nth-child(-n+2), td:nth-child(5), td:nth-child(6) { font-variant-numeric: tabular-nums; }
tr.lost td { background: color-mix(in srgb, var(--target) 11%, transparent); }
tr.extra td { color: var(--soft); } tr.target td { font-weight: 700; color: var(--target); }
"""
