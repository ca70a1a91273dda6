"""What an evaluation was asked and what it found, in memory and on disk."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, PositiveInt, model_validator

from beamwise.config import Config
from beamwise.data.parquet_files import UnreadableFileError, read_table
from beamwise.evaluation.baselines import BASELINES, AnyBaselineConfig
from beamwise.evaluation.pruned_targets import PrunedTargets
from beamwise.evaluation.survival import SurvivalCounts

SUMMARY_FILE = "evaluation.json"
PER_USER_FILE = "per_user.parquet"
BeamWidth = PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
"""Prefixes kept after each level: one number, or one a level."""
AGAIN = "run `beamwise evaluate` again"


class EvaluationConfig(Config):
    """How to rank and what to count."""

    ks: tuple[PositiveInt, ...] = (5, 10, 20)
    """Cutoffs of recall and NDCG, ascending, none above the last beam width. The last is the
    leaves that the searches return."""
    beam_width: BeamWidth = 20
    """Prefixes kept after each level: one number, or a list of one a level."""
    mask: Literal["after", "before"] = "after"
    """Mask illegal tokens after or before the softmax."""
    batch_size: PositiveInt = 256
    """Users decoded in one call."""
    full_sort: bool = False
    """Also rank the whole catalog, by exact search, and count what the beam lost."""

    @model_validator(mode="after")
    def _cutoffs_fit(self) -> EvaluationConfig:
        last = self.last_width
        if not self.ks or list(self.ks) != sorted(set(self.ks)) or self.ks[-1] > last:
            raise ValueError(
                f"ks must be ascending and within 1..beam_width={last}, "
                f"got {list(self.ks)}: drop cutoffs or raise beam_width"
            )
        return self

    @property
    def last_width(self) -> int:
        """Prefixes kept after the last level."""
        return self.beam_width if isinstance(self.beam_width, int) else self.beam_width[-1]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of one backbone, or of one baseline, on one set of windows."""

    summary: dict[str, float | int]
    """Means over users, and `users`. `recall@K` and `ndcg@K` count by ID, of titles by exact title
    (as the papers do); with one target a user, recall@K is what they also call HR@K. The same with
    `_by_item` by item, with `_full_sort` at the end under a full sort. `exact` is the share of
    users whose leaves the beam proves to be the full sort's; a baseline has none."""
    per_user: pl.DataFrame
    """A row per window, ordered by `row`, the window's number: `target` (item index), `leaf_size`,
    `exact`, `leaf_rank` and `first_item_rank` (null where not returned), and every metric. Under a
    full sort, `pruned_at` and `pruned_by_token` of the targets that the beam pruned, as `Losses`
    has them; null of others, and where rounding alone decided. Of a baseline, which ranks all
    items: no `exact`, and `item_rank` for `first_item_rank`. Retired
    items are in no ranking: `leaf_size` does not count them, and a retired target has no rank."""
    config: EvaluationConfig
    """Of a baseline, only `ks` and `batch_size` were used."""
    survival: SurvivalCounts | None
    """What the beam lost; None without a full sort."""
    seconds: float
    """Wall time of decoding and counting, of the slowest process."""
    baseline: AnyBaselineConfig | None = None
    """What ranked, where it was no backbone."""
    data: str | None = None
    """The dataset folder, where it is not the one that the run was trained on."""
    made_by: dict[str, Any] | None = None
    """Code and machine that ranked; None where that was not kept."""
    weights: str | None = None
    """Hash of the weights that ranked; None of a baseline, and where that was not kept."""

    @property
    def pruned(self) -> PrunedTargets | None:
        """At which tokens the beam lost its pruned targets; None where that was not asked."""
        return PrunedTargets.of([self.per_user])

    def survival_dict(self) -> dict[str, Any] | None:
        """What the beam lost, for a file; None without a full sort."""
        if self.survival is None:
            return None
        told = {"counts": asdict(self.survival), "shares": self.survival.shares()}
        return told | ({} if self.pruned is None else {"pruned": self.pruned.as_dict()})

    def save(self, folder: Path) -> None:
        """Write `evaluation.json` and `per_user.parquet` into `folder`, made if absent.

        Each file appears complete or not at all, the summary last.

        Raises:
            ValueError: If a value is not finite; nothing is written then.
        """
        content = {
            "summary": self.summary,
            "settings": self.config.model_dump(mode="json"),
            "baseline": None if self.baseline is None else self.baseline.model_dump(mode="json"),
            "survival": self.survival_dict(),
            "seconds": self.seconds,
            "data": self.data,
            "made_by": self.made_by,
            "weights": self.weights,
        }
        bad = [name for name, value in self.summary.items() if not math.isfinite(value)]
        if bad:
            raise ValueError(f"{', '.join(bad)} is not finite: find the NaN before saving")
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / PER_USER_FILE, self.per_user.write_parquet)
        _replace(folder / SUMMARY_FILE, lambda path: path.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, folder: Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            ValueError: If a file is missing or unreadable.
        """
        if not all((folder / name).is_file() for name in (SUMMARY_FILE, PER_USER_FILE)):
            raise ValueError(f"no evaluation in {folder}: run `beamwise evaluate` first")
        try:
            content = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
            survival, baseline = content["survival"], content.get("baseline")
            return cls(
                summary=content["summary"],
                per_user=read_table(folder / PER_USER_FILE, AGAIN),
                config=EvaluationConfig.model_validate(content["settings"]),
                survival=None if survival is None else SurvivalCounts(**survival["counts"]),
                seconds=content["seconds"],
                baseline=baseline and BASELINES[baseline["name"]].config.model_validate(baseline),
                data=content.get("data"),
                made_by=content.get("made_by"),
                weights=content.get("weights"),
            )
        except UnreadableFileError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"the evaluation in {folder} is not readable ({reason}): {AGAIN}"
            ) from None


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then put it in the place of `path` in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
