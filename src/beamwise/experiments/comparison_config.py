"""The settings of a comparison of training methods."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, PositiveInt, field_validator, model_validator

from beamwise.config import Config, merged
from beamwise.evaluation import EvaluationConfig
from beamwise.evaluation.survival_counts import SurvivalConfig

OWN_KEYS = ("out", "start_from", "training.seed")
"""Settings of a run that the comparison itself gives."""


class MethodConfig(Config):
    """One way to train, as changes to the settings that all methods share."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """In tables, and of the folder of its runs: lower-case letters, digits and ., -, _."""
    settings: dict[str, Any] = Field(default={})
    """Changes, as nested groups or by `key.path`; an objective of another name begins with its
    own defaults."""
    start_from: str | None = None
    """A method listed before, whose run of the same seed gives the weights to begin with."""
    grid: dict[str, tuple[Any, ...]] = Field(default={})
    """Values to try for some settings, by `key.path`. All combinations are trained for the first
    `grid_seeds` seeds; the best by the validation metric goes on to all seeds."""

    @property
    def points(self) -> dict[str, dict[str, Any]]:
        """Combinations of the grid's values by name, in order; without a grid one named ""."""
        return {_point_name(combination): combination for combination in self._combinations}

    @property
    def _combinations(self) -> list[dict[str, Any]]:
        combined = itertools.product(*self.grid.values())
        return [dict(zip(self.grid, values, strict=True)) for values in combined]

    @model_validator(mode="after")
    def _leaves_own_keys(self) -> MethodConfig:
        given = {**_flat(self.settings), **self.grid}
        if taken := [key for key in OWN_KEYS if key in given]:
            raise ValueError(
                f"{self.name} sets {taken[0]}, which the comparison gives every run: drop it, and "
                "use start_from and seeds of the comparison"
            )
        if empty := [key for key, values in self.grid.items() if not values]:
            raise ValueError(f"{self.name} tries no value of {empty[0]}: give at least one")
        _refuse_repeated(
            f"value of {self.name}'s grid", [_point_name(c) for c in self._combinations]
        )
        return self


class ComparisonConfig(Config):
    """Methods that share data, model and budget, trained with several seeds and tested alike."""

    title: str = "Objectives"
    """Heading of the report."""
    base: Path | None = None
    """YAML file of the settings that all methods share; relative to the working folder."""
    preset: str | None = None
    """Settings that come with the package, in the place of `base`."""
    settings: dict[str, Any] = Field(default={})
    """Changes to them for all methods, as those of a method."""
    methods: tuple[MethodConfig, ...] = Field(min_length=1)
    """In the order of the tables."""
    baseline: str = "ce"
    """The method that all others are compared with."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    """Training seeds of every method."""
    grid_seeds: PositiveInt = 1
    """Seeds, the first ones, on which grids are judged."""
    evaluation: EvaluationConfig = EvaluationConfig(ks=(10, 20), beam_width=20, full_sort=True)
    """Of the test: beam search and exact ranking."""
    survival: SurvivalConfig = SurvivalConfig()
    """Of the survival reports."""
    survival_of: tuple[str, ...] = ()
    """Methods whose tested runs get a survival report, which takes longer than a test."""
    resamples: PositiveInt = 10_000
    """Of users, for intervals and tests."""

    @property
    def trial_seeds(self) -> tuple[int, ...]:
        """Seeds on which grids are judged."""
        return self.seeds[: self.grid_seeds]

    @field_validator("evaluation", mode="before")
    @classmethod
    def _ranks_exactly(cls, given: Any) -> Any:
        """What is not set of the test is as in this class's default."""
        return {"ks": (10, 20), "full_sort": True} | given if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fits_together(self) -> ComparisonConfig:
        if (self.base is None) == (self.preset is None):
            given = "neither" if self.base is None else "both"
            raise ValueError(f"give base, a YAML file, or preset, a name: got {given}")
        names = [method.name for method in self.methods]
        _refuse_repeated("method", names)
        _refuse_repeated("seed", self.seeds)
        _check_method(self.baseline, names, "baseline")
        for place, method in enumerate(self.methods):
            if method.start_from is not None:
                _check_method(method.start_from, names[:place], f"start_from of {method.name}")
        if self.grid_seeds > len(self.seeds):
            raise ValueError(
                f"grid_seeds={self.grid_seeds} is more than there are seeds, {len(self.seeds)}"
            )
        for name in self.survival_of:
            _check_method(name, names, "survival_of")
        if not self.evaluation.full_sort:
            raise ValueError("evaluation.full_sort must be true: exact ranking is half the answer")
        for group, settings in (("evaluation", self.evaluation), ("survival", self.survival)):
            if settings.mask != "after":
                raise ValueError(
                    f"{group}.mask={settings.mask} is a method's own setting: give it as "
                    "evaluation.mask in the settings of a method, or in those of all"
                )
        return self


def select(
    config: ComparisonConfig, methods: tuple[str, ...], seeds: tuple[int, ...] | int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Some methods and seeds of a comparison, in its own order; all where none are given.

    Args:
        config: The comparison.
        methods: Names.
        seeds: Numbers, or how many of the first.

    Raises:
        ValueError: If one is not in it.
    """
    if isinstance(seeds, int):
        if not 1 <= seeds <= len(config.seeds):
            raise ValueError(
                f"{seeds} seeds are asked for, the comparison has {len(config.seeds)}: give a "
                "smaller number, or list numbers with commas"
            )
        seeds = config.seeds[:seeds]
    names = tuple(method.name for method in config.methods)
    for name in methods:
        _check_method(name, names, "--methods")
    for seed in seeds:
        if seed not in config.seeds:
            known = ", ".join(map(str, config.seeds))
            raise ValueError(f"seed {seed} is not in the comparison: its seeds are {known}")
    return (
        tuple(name for name in names if not methods or name in methods),
        tuple(seed for seed in config.seeds if not seeds or seed in seeds),
    )


def with_changes(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with `changes`, nested or by `key.path`.

    A component of another name begins with its own defaults, and stages take the place of an
    objective.
    """
    names_first = sorted(_flat(changes).items(), key=lambda item: not item[0].endswith("name"))
    for key, value in names_first:  # a component's name decides what its other settings mean
        *parents, last = key.split(".")
        group: dict[str, Any] = {last: value}
        for parent in reversed(parents):
            group = {parent: group}
        settings = merged(settings, group)
    kept = dict(settings)
    if kept.get("stages"):
        kept.pop("objective", None)
    return kept


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by `key.path`."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        below = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{key}.") if below else {f"{prefix}{key}": value}
    return flat


def _point_name(combination: Mapping[str, Any]) -> str:
    """Readable, and good for a folder: `learning_rate=0.003,dropout=0.1`."""
    last = [key.rpartition(".")[2] for key in combination]
    names = last if len(set(last)) == len(last) else list(combination)
    parts = (
        f"{name}={yaml.safe_dump(value, default_flow_style=True, width=999).splitlines()[0]}"
        for name, value in zip(names, combination.values(), strict=True)
    )
    return re.sub(r"[^\w.,=+-]", "_", ",".join(parts))


def _refuse_repeated(what: str, values: Sequence[object]) -> None:
    repeated = [value for place, value in enumerate(values) if value in values[:place]]
    if repeated:
        raise ValueError(f"{what} {repeated[0]} is given twice: give each once")


def _check_method(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        choices = f"choose one of {', '.join(known)}" if known else "list that method before"
        raise ValueError(f"{what}: no method {name!r} here; {choices}")
