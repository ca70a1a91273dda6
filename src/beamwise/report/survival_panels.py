"""The panels of a survival report, each with a heading, a drawing and a word on how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from beamwise.evaluation.survival_figures import Survival
from beamwise.report.panels import Dash, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Survivals = Mapping[str, Survival]
Colours = Mapping[str, str]
FEW = 20
"""Below so many targets the share of the pruned among them is noise, and not drawn."""
NEUTRAL = "#888888"
"""Of grids and of legends that speak of no model: readable on white and on black."""


class Panel(NamedTuple):
    """One figure of the report."""

    heading: str
    draw: Callable[[Axes, Survivals, Colours], None]
    meaning: str
    """What it shows, and how to read it."""


def _grid(axes: Axes) -> None:
    axes.grid(axis="y", color=NEUTRAL, alpha=0.25, linewidth=0.8)


def _legend(
    axes: Axes, entries: Mapping[str, Dash], place: Literal["best", "lower left"] = "best"
) -> None:
    handles = [line(label, NEUTRAL, dash) for label, dash in entries.items()]
    axes.legend(handles=handles, frameon=False, fontsize=8, loc=place)


def _say(axes: Axes, why: str) -> None:
    """Words in place of a drawing that would be empty."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, color=NEUTRAL, ha="center", va="center")
    axes.set_xticks([])
    axes.set_yticks([])


def _levels(axes: Axes, survivals: Survivals, last: str) -> None:
    longest = max(survivals.values(), key=lambda each: len(each.told_levels))
    names = [*(level.name for level in longest.told_levels[:-1]), last]
    places = list(range(1, len(names) + 1))
    shown = places if len(names) <= 8 else [*places[: -1 : 1 + len(names) // 8], places[-1]]
    axes.set_xticks(shown, [names[place - 1] for place in shown])
    axes.set_xlabel(f"after {_level_name(survivals)}")
    _grid(axes)


def _level_name(survivals: Survivals) -> str:
    names = {each.level_name for each in survivals.values()}
    return " or ".join(sorted(names))


def _prefix_recall(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    for name, survival in survivals.items():
        told = survival.told_levels
        levels = range(1, len(told) + 1)
        kept = [100 * share for share in survival.prefix_recall(survival.beam)]
        axes.plot(levels, kept, color=colours[name], marker="o", markersize=4)
        true = {each.level: each.within * each.targets for each in survival.levels()}
        within = [100 * true.get(each.number, float("nan")) / survival.users for each in told]
        axes.plot(levels, within, color=colours[name], linestyle="dashed", linewidth=1.2)
    axes.set_ylabel("targets (%)")
    axes.set_ylim(bottom=0)
    _levels(axes, survivals, "results")
    _legend(axes, {"prefix in the beam": "solid", "prefix truly among the best": "dashed"})


def _retention(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    next_widths: set[int] = set()
    for name, survival in survivals.items():
        levels = range(len(survival.told_levels) + 1)
        kept = [100.0, *(100 * share for share in survival.retention(survival.beam))]
        axes.plot(levels, kept, color=colours[name], marker="o", markersize=4)
        wider = [w for w in survival.widths if w.width > survival.config.beam_width]
        if wider:
            next_widths.add(wider[0].width)
            kept = [100.0, *(100 * share for share in survival.retention(wider[0]))]
            axes.plot(levels, kept, color=colours[name], linestyle="dashed", linewidth=1.2)
    config = next(iter(survivals.values())).config
    entries: dict[str, Dash] = {f"beam of {config.beam_width}": "solid"}
    if next_widths:
        entries[f"beam of {' or '.join(map(str, sorted(next_widths)))}"] = "dashed"
    axes.set_ylabel(f"true best {config.top_k} still there (%)")
    axes.set_ylim(0, 104)
    _levels(axes, survivals, "results")
    _legend(axes, entries, "lower left")


def _fates(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    """Where the targets were lost: bars by level, pruned at the foot."""
    names = list(survivals)
    if not any(_num_lost(each) for each in survivals.values()):
        _say(axes, "No target was lost.")
        return
    wide = 0.8 / len(names)
    for place, name in enumerate(names):
        survival = survivals[name]
        users, lost = survival.users, survival.by_level(survival.beam)
        at = [level + (place - (len(names) - 1) / 2) * wide for level in range(1, len(lost) + 1)]
        pruned = [100 * each.pruned / users for each in lost]
        out = [100 * each.outscored / users for each in lost]
        axes.bar(at, pruned, wide * 0.92, color=colours[name])
        axes.bar(at, out, wide * 0.92, bottom=pruned, color=colours[name], alpha=0.4)
    axes.set_ylabel("targets lost (%)")
    _levels(axes, survivals, "results")
    axes.set_xlabel(f"lost at {_level_name(survivals)}")
    from matplotlib.patches import Patch

    axes.legend(
        handles=[
            Patch(color=NEUTRAL, label="pruned: an exact ranking has it"),
            Patch(color=NEUTRAL, alpha=0.4, label="out-scored"),
        ],
        frameon=False,
        fontsize=8,
    )


def _num_lost(survival: Survival) -> int:
    return sum(survival.beam.pruned_at) + sum(survival.beam.outscored_at)


def _margins(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    """Boxes of 25 to 75 % with whiskers of 5 to 95 %."""
    names = list(survivals)
    if not any(level.margin for each in survivals.values() for level in each.levels()):
        _say(axes, "No level has more prefixes\nthan places for them.")
        return
    wide = 0.8 / len(names)
    axes.axhline(0, color=NEUTRAL, linewidth=1)
    for place, name in enumerate(names):
        told = survivals[name].told_levels
        at = {level.number: index for index, level in enumerate(told, start=1)}
        boxes = [
            _box(at[each.level] + (place - (len(names) - 1) / 2) * wide, each.margin)
            for each in survivals[name].levels()
            if each.margin is not None
        ]
        if not boxes:
            continue
        stats = [box for _, box in boxes]
        drawn = axes.bxp(
            stats,
            positions=[at for at, _ in boxes],
            widths=wide * 0.8,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
        )
        for part in ("boxes", "whiskers", "caps", "medians"):
            for artist in drawn[part]:
                artist.set_color(colours[name])
        for patch in drawn["boxes"]:
            patch.set_facecolor(colours[name] + "55")
    axes.set_ylabel("margin of the target's prefix (nats)")
    _levels(axes, survivals, "results")
    axes.set_xlabel(_level_name(survivals))


def _box(at: float, margin: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    names = {"whislo": "q5", "q1": "q25", "med": "q50", "q3": "q75", "whishi": "q95"}
    return at, {name: margin[quantile] for name, quantile in names.items()}


def _quality(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    k = next(iter(survivals.values())).config.top_k
    drawn: set[int] = set()
    for name, survival in survivals.items():
        recall = {w.width: w.mean(f"recall@{k}") or 0.0 for w in survival.wide_enough}
        drawn |= set(recall)
        axes.plot(
            list(recall), list(recall.values()), color=colours[name], marker="o", markersize=4
        )
        exact = survival.exact[f"recall@{k}"]
        axes.axhline(exact, color=colours[name], linestyle="dashed", linewidth=1.2)
    axes.set_ylabel(f"recall@{k}")
    axes.margins(y=0.2)
    _widths(axes, drawn)
    _legend(axes, {"beam": "solid", "exact": "dashed"})


def _time(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    drawn: set[int] = set()
    for name, survival in survivals.items():
        times = {w.width: survival.times.get(str(w.width)) for w in survival.widths}
        known = {width: time for width, time in times.items() if time and time.users}
        drawn |= set(known)
        milliseconds = [time.milliseconds for time in known.values()]
        axes.plot(list(known), milliseconds, color=colours[name], marker="o", markersize=4)
        exact = survival.times.get("exact")
        if exact is not None and exact.users:
            axes.axhline(exact.milliseconds, color=colours[name], linestyle="dashed", linewidth=1.2)
    if not drawn:
        _say(axes, "No search was timed.")
        return
    axes.set_ylabel("milliseconds a user")
    axes.set_ylim(bottom=0)
    _widths(axes, drawn)
    _legend(axes, {"beam": "solid", "exact search": "dashed"})


def _tokens(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    drawn: set[int] = set()
    for name, survival in survivals.items():
        known = [w for w in survival.widths if w.within >= FEW]
        pruned = [100 * w.within_pruned / w.within for w in known]
        token = [100 * w.within_pruned_by_token / w.within for w in known]
        widths = [w.width for w in known]
        drawn |= set(widths)
        axes.plot(widths, pruned, color=colours[name], marker="o", markersize=4)
        axes.plot(widths, token, color=colours[name], linestyle="dashed", linewidth=1.2)
    if not drawn:
        _say(axes, f"For no width B are {FEW} targets\namong the best B items: too few to tell.")
        return
    axes.set_ylabel("of the targets in the true best B (%)")
    axes.set_ylim(bottom=0)
    _widths(axes, drawn)
    axes.set_xlabel("B, the beam's width and the rank that counts")
    _legend(axes, {"pruned": "solid", "pruned on a single token": "dashed"})


def _proofs(axes: Axes, survivals: Survivals, colours: Colours) -> None:
    drawn: set[int] = set()
    for name, survival in survivals.items():
        widths = [w.width for w in survival.wide_enough]
        drawn |= set(widths)
        exact = [100 * w.exact / survival.users for w in survival.wide_enough]
        kept = [100 * w.retention for w in survival.wide_enough]
        axes.plot(widths, kept, color=colours[name], marker="o", markersize=4)
        axes.plot(widths, exact, color=colours[name], linestyle="dashed", linewidth=1.2)
    k = next(iter(survivals.values())).config.top_k
    axes.set_ylabel("%")
    axes.set_ylim(0, 104)
    _widths(axes, drawn)
    _legend(axes, {f"true best {k} returned": "solid", "users proved exact": "dashed"})


def _widths(axes: Axes, drawn: Iterable[int]) -> None:
    widths = sorted(drawn)
    axes.set_xscale("log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.set_xlabel("beam width")
    _grid(axes)


PANELS = (
    Panel(
        "Prefix recall",
        _prefix_recall,
        "Share of the targets whose prefix the beam still holds after each token; after the last, "
        "whether they are returned. A steep fall is where training has to help. The dashed line "
        "counts targets whose prefix ranks among as many best of those as long, by true score: "
        "where it lies above the solid line, the beam had lost the way to them earlier.",
    ),
    Panel(
        "Retention of the true best items",
        _retention,
        "How many of the items that an exact ranking returns are still reachable after each token. "
        "What is missing here at the end, the beam does not return, whoever the user's target is.",
    ),
    Panel(
        "Where targets are lost",
        _fates,
        "Every missed target by the token at which it left the beam. The full part was pruned: the "
        "model ranks it high enough, so a wider beam or exact search returns it. The pale part is "
        "out-scored: no search helps, the model has to rank it higher.",
    ),
    Panel(
        "Margin of the target's prefix",
        _margins,
        "Log-probability of the target's prefix minus that of the last prefix that has a place. "
        "Above 0 it has a place by right. The box holds the middle half of the targets, its line "
        "the median, the whiskers 90 %.",
    ),
    Panel(
        "Quality by beam width",
        _quality,
        "Recall among all K results, of the beams that are wide enough to return K. Where the "
        "solid line meets the dashed one, a wider beam buys nothing. A beam above the dashed line "
        "is not better at its task: it misses items that the model overrates.",
    ),
    Panel(
        "Time by beam width",
        _time,
        "Wall time of real searches on the machine that made this report, with exact search, "
        "proved for every user, as the dashed line.",
    ),
    Panel(
        "Pruned although in the best B",
        _tokens,
        "Of the targets that the model ranks among its best B items, the share that a beam of "
        "width B prunes. The dashed part of it broke on a single token: one that is not among the "
        "B most probable after its own true prefix, which is what BEAR's objective penalises.",
    ),
    Panel(
        "Returned and proved",
        _proofs,
        "Share of the true best items that each beam returns, and of users for whom the beam "
        "proves by itself that nothing better was lost; beams too narrow for K results are left "
        "out.",
    ),
)
