"""`beamwise reproduce`: experiments as a whole, from training to the tables."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from beamwise.cli.output import message, print_json, print_settings
from beamwise.cli.parameters import Flag, Json, Settings, ShowSettings, setting
from beamwise.cli.reproduce_paper import (
    ALL,
    MERGE,
    PAGE,
    PAPER_EXPERIMENTS,
    merge_results,
    reproduce_paper,
    write_report,
)
from beamwise.cli.reproduction import (
    Asked,
    chosen_options,
    measuring,
    print_summary,
    run_runs,
    write_archive,
)
from beamwise.cli.reproduction_plan import print_plan, seconds_of
from beamwise.config import read_config
from beamwise.experiments.comparison_config import ComparisonConfig, select
from beamwise.experiments.comparison_plan import plan
from beamwise.experiments.comparison_report import as_json, report_path, write_comparison_report
from beamwise.experiments.comparison_runner import Budget
from beamwise.experiments.objective_comparison import Comparison

OBJECTIVES = "objectives"
ALONE = {OBJECTIVES, PAGE, MERGE}
"""Asked for by themselves; the paper's may be several, with commas."""
USED = {
    PAGE: ("out", "json"),
    MERGE: ("out", "json", "from", "data"),
}
"""Options of what runs nothing; all others mean nothing to it."""
Results = Annotated[Path | None, Parameter(name="--from")]


def reproduce(
    experiment: str,
    /,
    *,
    config: Path | None = None,
    settings: Settings = (),
    out: Path | None = None,
    data: Path | None = None,
    dataset: str = "",
    backbone: str = "",
    size: str | None = None,
    methods: str = "",
    seeds: str = "",
    plan: Flag = False,
    budget: str = "",
    archive: Path | None = None,
    wheels: Path | None = None,
    results: Results = None,
    report: Flag = False,
    show_settings: ShowSettings = False,
    json: Json = False,
) -> int:
    """Run experiments, or what is missing of them, and write their reports.

    objectives: train the methods that a file describes with several seeds, rank the test targets by
    beam search and exactly, and report recall and NDCG with intervals, tests, and what the beam
    lost.

    table1, table2, table3, table4, figure1 to figure5 (figure3 with Table 5), own: those of the
    APAO paper, and ours, with its figures beside ours; for data sets and backbones, in the paper's
    sizes, or small ones for a CPU. bear, simulated-beams: those of BEAR's summary, on titles, with
    language models. Several with commas, or all. They share the runs of a store, --out, which has a
    folder for every data set, backbone and size, and one page, report.html.
    They run one after the other, each for all data sets and backbones before the next.

    report: that page, and the files of every part, from what the store has.
    merge: put the results of an archive that ran elsewhere into a store.

    What is finished is kept and what was interrupted is continued. To use more cores or machines,
    start the same command several times: the processes share the runs of one folder. Exit status 3
    says that the budget was spent and there is more to do.

    For example:

      beamwise reproduce objectives --config configs/comparisons/office-small.yaml --out runs/all
      beamwise reproduce objectives --config mine.yaml --out runs/mine --methods ce,msl --seeds 0,1
      beamwise reproduce table1 --dataset office --backbone tiger --seeds 5 --out runs/paper --plan
      beamwise reproduce table1,figure1 --dataset office --backbone llama --size small --out runs/p
      beamwise reproduce bear --dataset toy-titles --backbone tiny --seeds 5 --out runs/titles
      beamwise reproduce all --dataset office,beauty --backbone tiger,llama --archive gpu.tar
      beamwise reproduce merge --from gpu/results --out runs/paper
      beamwise reproduce objectives --config mine.yaml --out runs/mine --budget 9m
      beamwise reproduce report --out runs/paper

    Args:
        experiment: objectives, table1 to table4, figure1 to figure5, own, all, bear,
            simulated-beams, report or merge.
        config: YAML file of the comparison of objectives: shared settings, methods, seeds.
        settings: key.path=value of a setting of the comparison; may be repeated. With
            settings.key.path=value it changes a setting of all runs.
        out: Folder of the runs and of the report.
        data: Prepared and tokenized dataset, short for --set settings.data.folder=...; data/DATASET
            where the paper's is not given. Of merge: the folder that holds the data, by name.
        dataset: office, grocery, beauty or yelp; of bear and simulated-beams office-titles or
            toy-titles; several with commas.
        backbone: tiger or llama; of titles tiny or smollm2; several with commas.
        size: paper, or small for a CPU; paper where not given, and always of titles.
        methods: Names, with commas; all methods of the comparison where not given. What they start
            from is trained as well, and for a paper's table what they are compared with.
        seeds: How many, the first of the comparison's, or numbers with commas (0,3 or 3,); all
            where not given.
        plan: Train nothing; list the runs, what is done of them, and how long the rest will take,
            by logs of such runs or by a few steps that are timed now. For own it writes the data
            with a token an item beside the others, where they are not there yet.
        budget: Time to work in, as 9m, 1h30m or 45s; training stops at a checkpoint, and the same
            command goes on from there. The report is written when all is done, or with --report.
        archive: Train nothing; write NAME.tar, with which a machine without network runs the same:
            data, this package, and the runs that --out has begun.
        wheels: Of an archive: a folder of wheels of packages that the machine lacks.
        results: Of merge: the folder results of an archive that ran.
        report: Train nothing; write the report from the runs that are there.
        show_settings: List all settings of a comparison, with defaults and meaning, and do no more.
        json: Print JSON lines on standard output, no tables.
    """
    names = _names(experiment)
    _check(names)
    if wheels is not None and archive is None:
        raise ValueError(f"--wheels {wheels} is of an archive: give --archive NAME.tar as well")
    if sum((plan, report, archive is not None)) > 1:
        raise ValueError("--plan, --report and --archive train nothing: give one of them")
    asked = Asked(
        names,
        config,
        settings,
        out,
        data,
        _names(dataset),
        _names(backbone),
        size,
        _names(methods),
        _numbers(seeds),
        plan,
        Budget(seconds_of(budget)),
        archive,
        wheels,
        results,
        report,
        show_settings,
        json,
    )
    if names[0] in USED:
        given = {
            "config": config,
            "set": settings,
            "data": data,
            "dataset": dataset,
            "backbone": backbone,
            "size": size,
            "methods": methods,
            "seeds": seeds,
            "plan": plan,
            "budget": budget,
            "archive": archive,
            "from": results,
            "report": report,
            "settings": show_settings,
        }
        unused = {name: value for name, value in given.items() if name not in USED[names[0]]}
        asked.refuse(unused, f"not for {names[0]}, which trains nothing: leave it out")
    return {OBJECTIVES: _objectives, PAGE: write_report, MERGE: merge_results}.get(
        names[0], reproduce_paper
    )(asked)


def _check(names: tuple[str, ...]) -> None:
    known = (OBJECTIVES, *PAPER_EXPERIMENTS, ALL, PAGE, MERGE)
    for name in names or ("",):
        if name not in known:
            raise ValueError(f"unknown experiment {name!r}; choose one of {', '.join(known)}")
        if name in ALONE and len(names) > 1:
            raise ValueError(f"{name} runs by itself: ask for {', '.join(names)} one by one")


def _objectives(asked: Asked) -> int:
    """A comparison that a file describes."""
    papers = {"dataset": asked.datasets, "backbone": asked.backbones, "size": asked.size}
    asked.refuse(papers, "for the paper's tables and figures: objectives has --config")
    asked.refuse({"from": asked.results}, "for merge")
    if asked.show_settings:
        print_settings("settings of a comparison, for --set", ComparisonConfig, json=asked.json)
        return 0
    if asked.config is None:
        raise ValueError("--config is not set: give the comparison's YAML file")
    short = [setting("settings.data.folder", asked.data)] if asked.data else []
    config = read_config(ComparisonConfig, asked.config, [*asked.settings, *short])
    methods, seeds = select(config, asked.methods, asked.seeds)
    if asked.archive is not None:
        return _pack(asked, asked.config, config)
    comparison = Comparison(config, asked.store)
    if asked.plan:
        print_plan(plan(comparison, methods, seeds, measuring), json=asked.json)
        return 0
    if not asked.report:
        status = run_runs(comparison, methods, seeds, asked.budget)
        if status:
            return status
    figures = write_comparison_report(comparison, methods, seeds)
    if asked.json:
        print_json({"report": report_path(comparison), **as_json(comparison, figures)})
    else:
        print_summary(figures)
        message(f"report in {report_path(comparison)}")
    return 0


def _pack(asked: Asked, file: Path, config: ComparisonConfig) -> int:
    """An archive that runs the same elsewhere."""
    with TemporaryDirectory() as nowhere:
        comparison = Comparison(config, Path(nowhere))
    every = (run for name in comparison.methods for run in comparison.any_runs(name))
    data = {run.config.data.folder for run in every}
    command = ["reproduce", OBJECTIVES, "--config", str(file), *chosen_options(asked)]
    if asked.data:
        command += ["--data", f"data/{asked.data.name}"]
    command += ["--out", "results"]
    return write_archive(asked, [command], [config], {folder.name: folder for folder in data})


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[int, ...] | int:
    """Numbers of seeds; of one without a comma, how many."""
    try:
        numbers = tuple(int(part) for part in _names(text))
    except ValueError:
        raise ValueError(f"--seeds must be whole numbers with commas, got {text!r}") from None
    return numbers if "," in text or not numbers else numbers[0]
