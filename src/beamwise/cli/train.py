"""`beamwise train`: train a run, or continue it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from beamwise.cli.output import message, print_facts, print_json, print_next, print_settings
from beamwise.cli.parameters import Json, Settings, ShowSettings, setting
from beamwise.cli.progress import TrainingProgress
from beamwise.config import read_config
from beamwise.experiments.run_summary import RunSummary, summarise_run
from beamwise.training.config import RunConfig
from beamwise.training.presets import preset as settings_of
from beamwise.training.run import train as train_run

INTERRUPTED = 130


def train(
    *,
    config: Path | None = None,
    settings: Settings = (),
    out: Path | None = None,
    data: Path | None = None,
    preset: str | None = None,
    show_settings: ShowSettings = False,
    json: Json = False,
) -> int:
    """Train a model and write a run folder; the same command continues a run that was stopped.

    For example:

      beamwise train --preset small --data data/shop --out runs/ce
      beamwise train --config configs/office-tiger-ce.yaml --data data/office --out runs/office
      beamwise train --data data/shop --out runs/apao --set objective.name=apao-pairwise

    Args:
        preset: Settings that come with the package: small and small-llama, for a CPU and up to some
            ten thousand interactions; apao-tiger and apao-llama, a paper's; sasrec, for item ids;
            titles-tiny and titles-smollm2, for language models. The file and --set change them;
            without, the defaults are a paper's.
        config: YAML file of settings; where not given, defaults and --set are all there is.
        out: Run folder to write, short for --set out=...
        data: Prepared and tokenized dataset, short for --set data.folder=...
        settings: key.path=value of a setting; may be repeated.
        show_settings: List all settings, with defaults and meaning, and do no more.
        json: Print JSON lines on standard output, no tables.
    """
    if show_settings:
        print_settings("settings of a run, for --set", RunConfig, json=json)
        return 0
    short = [setting(key, path) for key, path in (("out", out), ("data.folder", data)) if path]
    base = None if preset is None else settings_of(preset)
    run = read_config(RunConfig, config, [*settings, *short], base)
    progress = TrainingProgress()
    try:
        with progress:
            train_run(run, progress)
    except KeyboardInterrupt:
        at = progress.last
        where = f" at epoch {at['epoch'] + 1}, step {at['step']}" if at else ""
        message(f"stopped{where}; run the same command to continue")
        return INTERRUPTED
    if progress.last is None:
        message(f"{run.out} was finished already; choose another --out to train anew")
    _print_summary(summarise_run(run.out), json)
    return 0


def _print_summary(summary: RunSummary, json: bool) -> None:
    if json:
        print_json(asdict(summary))
        return
    facts: dict[str, object] = {"epochs": summary.epochs}
    if summary.best is not None and summary.best_epoch is not None:
        facts[f"best validation {summary.metric}"] = f"{summary.best:.4f}"
        stage = "" if summary.stage is None else f" of stage {summary.stage + 1}"
        facts["at epoch"] = f"{summary.best_epoch + 1}{stage}"
    print_facts(f"run in {summary.folder}", facts)
    print_next(
        [
            f"beamwise evaluate {summary.folder} --baselines",
            f"beamwise recommend {summary.folder} --user USER_ID",
        ]
    )
