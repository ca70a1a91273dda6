"""`beamwise inspect`: the beam for one user, step by step, beside what exact search returns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal, cast

from beamwise.cli.inspection_tables import print_inspection
from beamwise.cli.output import message, print_json
from beamwise.cli.parameters import Flag, Json
from beamwise.cli.runs import NO_FOREIGN_MODEL, ForeignOptions, tell_if_unfinished
from beamwise.config import parse_config
from beamwise.experiments.foreign_model import ForeignModel
from beamwise.experiments.inspection import InspectionConfig, inspect_opened, inspect_run
from beamwise.report.inspection import Inspection
from beamwise.report.inspection_html import inspection_page

SHOW = 6


def inspect(
    run: Path | None = None,
    /,
    *,
    user: str | None = None,
    history: str | None = None,
    target: str | None = None,
    split: Literal["test", "validation"] = "test",
    beam_width: int | None = None,
    mask: Literal["after", "before"] | None = None,
    top_k: int | None = None,
    data: Path | None = None,
    skip_unknown: Flag = False,
    show: int = SHOW,
    html: Path | None = None,
    foreign: ForeignOptions = NO_FOREIGN_MODEL,
    json: Json = False,
) -> None:
    """Follow the beam for one user: prefixes kept and lost, the target's way, and exact search.

    For example:

      beamwise inspect runs/ce --user user-0042
      beamwise inspect runs/ce --user user-0042 --beam-width 5 --html beam.html
      beamwise inspect runs/ce --history item-0004,item-0311 --target item-0123
      beamwise inspect --model HF_FOLDER --catalog codes.csv --codebook-size 256
        --data data/shop --user user-0042

    Args:
        run: Run folder that train wrote; leave it out with --model.
        user: A user of the data: the history before the target of the split.
        history: Item ids in time order, separated by commas, in place of a user.
        target: With --history, an item to follow through the beam.
        split: Whose target of the user; the latest where there are several.
        beam_width: Prefixes kept after each level. The run's own setting where not given.
        mask: Mask illegal tokens after or before the softmax; as above.
        top_k: Results of both searches; as many as the beam is wide where not given.
        data: Dataset folder whose catalog and users take the place of the run's own.
        skip_unknown: Leave unknown item ids out of the history, instead of refusing them.
        show: Lines of each level for prefixes that were kept, and for those lost, beside the
            target's and those that lead to the exact results.
        html: Also write the whole as one page that opens from disk.
        foreign: In place of a run.
        json: Print one JSON object on standard output, no tables.
    """
    if show < 1:
        raise ValueError(f"--show must be >= 1, got {show}")
    if html is not None and html.is_dir():
        raise ValueError(f"{html} is a folder: name a file for --html")
    settings = {
        "user": user,
        "split": split,
        "history": _ids(history),
        "target": target,
        "skip_unknown": skip_unknown,
        "beam_width": beam_width,
        "mask": mask,
        "top_k": top_k,
        "num_lost": show,
    }
    config = parse_config(InspectionConfig, settings, "inspect")
    if (run is None) == (foreign.model is None):
        given = "neither" if run is None else "both"
        raise ValueError(f"give a run folder or --model, got {given}")
    opened = foreign.open(data)
    found = _inspected(run, opened, data, config)
    if found.skipped:
        message(f"left out, unknown to the catalog: {', '.join(found.skipped)}")
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(inspection_page(found), encoding="utf-8")
        message(f"wrote {html}")
    if json:
        print_json(asdict(found))
    else:
        print_inspection(found, show)


def _ids(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _inspected(
    run: Path | None, foreign: ForeignModel | None, data: Path | None, config: InspectionConfig
) -> Inspection:
    """The inspection of a foreign model, or else of a run."""
    if foreign is not None:
        return inspect_opened(foreign.run, lambda: foreign.data, config)
    folder = cast(Path, run)
    tell_if_unfinished(folder)
    return inspect_run(folder, config, data=data)
