"""`beamwise evaluate`: recall, NDCG and what the beam lost, for one run or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from beamwise.cli.output import message, print_comparison, print_json
from beamwise.cli.parameters import Flag, Json, Settings
from beamwise.cli.progress import UserProgress
from beamwise.cli.runs import (
    NO_FOREIGN_MODEL,
    ForeignOptions,
    tell_if_unfinished,
    tell_what_is_read,
)
from beamwise.cli.survival import SurvivalRequest, report
from beamwise.config import changed_config, read_config
from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.evaluation import Evaluation, EvaluationConfig
from beamwise.experiments import evaluate_run
from beamwise.experiments.comparison import comparison
from beamwise.experiments.evaluate_run import (
    check_result_folder,
    data_of,
    evaluate_baselines,
    num_retired_targets,
    part_of,
    result_folder,
    save_baselines,
    with_changes,
)
from beamwise.report.leaf_names import leaf_names
from beamwise.tokenization.fitted import has_titles
from beamwise.training.config import CONFIG_FILE, DataConfig, RunConfig
from beamwise.training.run import open_run


def evaluate(
    run: Path | None = None,
    /,
    *more_runs: Path,
    split: Literal["test", "validation"] = "test",
    data: Path | None = None,
    beam_width: int | None = None,
    mask: Literal["after", "before"] | None = None,
    full_sort: Flag = False,
    baselines: Flag = False,
    survival: Flag = False,
    html: Path | None = None,
    foreign: ForeignOptions = NO_FOREIGN_MODEL,
    config: Path | None = None,
    settings: Settings = (),
    json: Json = False,
) -> None:
    """Measure runs on their data, side by side, and save evaluation.json in each run folder.

    With --survival, report instead where targets are lost and what a wider beam, exact search or a
    better model would win back; saves survival.json, .parquet, .png and .html.

    For example:

      beamwise evaluate runs/ce runs/apao --full-sort --baselines
      beamwise evaluate runs/ce --split validation --beam-width 50
      beamwise evaluate runs/ce --set ks=[1,10,50] --set beam_width=50
      beamwise evaluate runs/ce runs/apao --survival --html compared.html
      beamwise evaluate runs/ce --survival --set widths=[10,20,200] --set max_users=1000
      beamwise evaluate --survival --model HF_FOLDER --catalog codes.csv --codebook-size 256
        --data data/shop --html survival.html

    Args:
        run: Run folder that train wrote; may be left out with --model.
        more_runs: Others to show beside it.
        split: Targets to rank. Results for validation go into a folder of that name in the run's.
        data: Dataset folder to rank on in place of each run's own: with items added or retired, or
            tokenized like the run's. Results go into a folder of its name in the run's.
        beam_width: Prefixes kept after each level; cutoffs above it are left out. The run's own
            setting where not given.
        mask: Mask illegal tokens after or before the softmax; as above.
        full_sort: Also rank the whole catalog, and count what the beam lost.
        baselines: Also rank by popularity and by item-kNN, counted on the training part; results go
            into the folder baselines beside the run's. Items of the history may be recommended
            again, as the models do.
        survival: Report on what the beam lost: by level, by beam width and beside exact search.
            Its --set has ks, beam_width, widths, tolerance, max_users and timed_users.
        html: Page of all runs that --survival writes; survival.html in the run's folder where not
            given, or survival-compared.html in the first of several.
        foreign: Given with --survival, in place of runs or beside them, with --html.
        config: YAML file of evaluation settings, in place of the run's own.
        settings: key.path=value of an evaluation setting; may be repeated.
        json: Print JSON lines on standard output, no tables.
    """
    runs = _once_each(more_runs if run is None else (run, *more_runs))
    if not runs and foreign.model is None:
        raise ValueError("give a run folder, or --survival with --model: there is nothing to do")
    if foreign.model is not None and not survival:
        raise ValueError(f"--model {foreign.model} is for the survival report: add --survival")
    opened = foreign.open(data)
    asked = {"beam_width": beam_width, "mask": mask, "full_sort": full_sort or None}
    changes = {name: value for name, value in asked.items() if value is not None}
    _check_options(survival=survival, full_sort=full_sort, baselines=baselines, html=html)
    if survival:
        request = SurvivalRequest(
            runs, split, data, changes, config, settings, html, foreign.model, opened
        )
        report(request, json=json)
        if opened is not None:
            tell_what_is_read(opened)
        return
    for folder in runs:  # all of them, before the first long search
        _check(folder, split, data)
    evaluations: dict[str, Evaluation] = {}
    configs: dict[Path, EvaluationConfig] = {}
    for folder in runs:
        own = read_config(RunConfig, folder / CONFIG_FILE).evaluation
        configs[folder] = with_changes(changed_config(own, config, settings), changes)
        with UserProgress(str(folder)) as progress:
            evaluations[str(folder)] = evaluate_run.evaluate(
                folder, split, configs[folder], data=data, progress=progress
            )
    if baselines:
        evaluations |= _baselines(configs, split, data)
    if json:
        for name, evaluation in evaluations.items():
            print_json({"run": name, "split": split, **as_json(evaluation)})
        return
    users = {evaluation.summary["users"] for evaluation in evaluations.values()}
    counted = " and ".join(f"{count:,}" for count in sorted(users))
    leaves = leaf_names([has_titles(folder / TOKENIZER_FOLDER) for folder in runs])
    rows = comparison(evaluations, leaves)
    print_comparison(rows, list(evaluations), f"{split} set, {counted} users")
    for folder in runs:
        message(f"saved in {result_folder(folder, split, data)}")


def _once_each(runs: Sequence[Path]) -> list[Path]:
    """The folders without those that another one before is too, under whatever name."""
    named: dict[Path, Path] = {}
    for folder in runs:
        named.setdefault(folder.resolve(), folder)
    return list(named.values())


def _check_options(*, survival: bool, full_sort: bool, baselines: bool, html: Path | None) -> None:
    """Refuse options that mean nothing together."""
    if survival and full_sort:
        raise ValueError("--survival ranks the whole catalog anyway: leave out --full-sort")
    if survival and baselines:
        raise ValueError("--survival is about beams, baselines have none: leave out --baselines")
    if html is not None and not survival:
        raise ValueError(f"--html {html} is the page of --survival: add --survival")


def _check(run: Path, split: Literal["test", "validation"], data: Path | None) -> None:
    """Refuse what cannot be evaluated, and tell of targets that nothing can find."""
    check_result_folder(run, split, data)
    tell_if_unfinished(run)
    run_data = data_of(open_run(run, data=data))
    windows = part_of(run_data, split)
    if retired := num_retired_targets(run_data, windows):
        message(
            f"{run}: {retired:,} of {len(windows):,} targets are retired items, which nothing "
            "recommends: they count as misses for runs and baselines alike"
        )


def _baselines(
    configs: dict[Path, EvaluationConfig],
    split: Literal["test", "validation"],
    data: Path | None,
) -> dict[str, Evaluation]:
    """All baselines, once for runs of the same data and cutoffs, saved with every run.

    By their names; where runs differ in these, later ones by the name and their first run.
    """
    found: dict[tuple[DataConfig, tuple[int, ...]], dict[str, Evaluation]] = {}
    columns: dict[str, Evaluation] = {}
    for folder, config in configs.items():
        own = read_config(RunConfig, folder / CONFIG_FILE).data
        key = (own.model_copy(update={"folder": data or own.folder}), config.ks)
        if key not in found:
            with UserProgress("baselines") as progress:
                found[key] = evaluate_baselines(folder, split, config, data=data, progress=progress)
            where = f" ({folder})" if len(found) > 1 else ""
            columns |= {f"{name}{where}": result for name, result in found[key].items()}
        save_baselines(result_folder(folder, split, data), found[key])
    return columns


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation without its rows for each user."""
    return {
        "summary": evaluation.summary,
        "survival": evaluation.survival_dict(),
        "settings": evaluation.config.model_dump(mode="json"),
        "baseline": evaluation.baseline and evaluation.baseline.model_dump(mode="json"),
        "seconds": evaluation.seconds,
    }
