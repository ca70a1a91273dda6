"""`beamwise demo`: what the beam loses and what prefix alignment changes, in a few minutes."""

from __future__ import annotations

from pathlib import Path

from beamwise.cli.evaluate import as_json
from beamwise.cli.output import message, print_comparison, print_items, print_json, print_next
from beamwise.cli.parameters import Json, Settings
from beamwise.cli.progress import TrainingProgress
from beamwise.config import read_config
from beamwise.data.dataset import Dataset
from beamwise.experiments.comparison import comparison
from beamwise.experiments.demo import DemoConfig, DemoResult, DemoWatcher, run_demo
from beamwise.serving.recommender import Recommendation, load

USERS_SHOWN, ITEMS_SHOWN, HISTORY_SHOWN = 2, 5, 5


def demo(
    *,
    out: Path = Path("demo"),
    seed: int | None = None,
    config: Path | None = None,
    settings: Settings = (),
    json: Json = False,
) -> None:
    """Train on a simulated shop with two objectives and show what the beam lost of each.

    For example:

      beamwise demo
      beamwise demo --out trial --seed 3 --set training.epochs=2

    Args:
        out: New folder, or that of an earlier demo, which is continued or replaced.
        seed: Another shop and other weights.
        config: YAML file of settings.
        settings: key.path=value of a setting; may be repeated.
        json: Print JSON lines on standard output, no tables.
    """
    sizes = read_config(DemoConfig, config, settings)
    sizes = sizes if seed is None else sizes.with_seed(seed)
    with TrainingProgress() as progress:
        result = run_demo(out, sizes, DemoWatcher(message, progress))
    examples = recommendations(result)
    if json:
        for name, evaluation in result.evaluations.items():
            print_json({"objective": name, "run": result.runs[name], **as_json(evaluation)})
        return
    print_result(result, examples)


def recommendations(result: DemoResult) -> dict[str, list[Recommendation]]:
    """What the last run recommends to a few users; by their latest purchases, in words."""
    recommender = load(list(result.runs.values())[-1], device="cpu")
    users = Dataset.load(result.data).interactions.user_ids
    histories = [recommender.history_of_user(user) for user in users.head(USERS_SHOWN)]
    found = recommender.recommend(histories, top_k=ITEMS_SHOWN)
    titles = [recommender.titles_of(history[-HISTORY_SHOWN:]) for history in histories]
    named = (", ".join(title or "untitled" for title in bought) for bought in titles)
    return dict(zip(named, found, strict=True))


def print_result(result: DemoResult, examples: dict[str, list[Recommendation]]) -> None:
    """The comparison, in numbers and in words, recommendations, and what to do next."""
    rows = comparison(result.evaluations)
    evaluation = next(iter(result.evaluations.values()))
    title = f"test set, {evaluation.summary['users']:,} users"
    print_comparison(rows, list(result.evaluations), title)
    for name, measured in result.evaluations.items():
        if measured.survival is not None:
            width, lost = measured.config.last_width, measured.survival.pruned
            of = lost + measured.survival.found
            print(
                f"{name}: of {of:,} targets that a full ranking has in its best {width}, "
                f"a beam of {width} dropped {lost:,}"
            )
    for history, items in examples.items():
        print()
        print_items(f"bought last: {history}", items)
    print(f"\nwrote the shop to {result.data} and the runs to:")
    for folder in result.runs.values():
        print(f"  {folder}")
    if result.picture is not None:
        print(f"drew what the beam lost: {result.picture}")
    first, last = next(iter(result.runs.values())), list(result.runs.values())[-1]
    runs = " ".join(str(folder) for folder in result.runs.values())
    print_next(
        [
            f"beamwise evaluate {runs} --full-sort --beam-width 50",
            f"beamwise recommend {last} --user user-0007 --top-k 5",
            f"beamwise train --config {first / 'config.yaml'} --set objective.name=apao-pointwise "
            f"--out {first.with_name('apao-pointwise')}",
        ]
    )
