"""Negatives: which leaves or prefixes compete with a target, where, and with what weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.config import Config
from beamwise.sequences.inclusion_probability import log_inclusion_probability

Source = Literal["uniform", "popular", "in-batch", "beam"]
Scaling = Literal["none", "released", "inverse-inclusion"]
SCALINGS: dict[Source, tuple[Scaling, ...]] = {
    "uniform": ("none", "released", "inverse-inclusion"),
    "popular": ("none", "released"),
    "in-batch": ("none", "released"),
    "beam": ("none",),
}
"""What makes sense: inclusion probabilities are those of uniform draws, and a mined prefix stands
for itself, not for others that were not drawn."""
SOURCE_OF_SETTING: dict[str, Source] = {
    "exponent": "popular",
    "beam_width": "beam",
    "mine_every": "beam",
}


class NegativesConfig(Config):
    """Where non-targets come from that compete with a target."""

    source: Source = "uniform"
    """All leaves alike (uniform); leaves by how often training has them as a target (popular); the
    other targets of the optimiser step, by how often they occur in it (in-batch); or the prefixes
    that a beam search keeps, which are those that prune the target (beam)."""
    count: PositiveInt = 100
    """Distinct leaves drawn for each target, without the target. In a step with fewer other leaves
    `in-batch` has fewer; `beam` has as many as its beam keeps."""
    scaling: Scaling = "none"
    """Weight of a drawn prefix: 1 (none), number of other prefixes over number drawn (released), or
    1 over its probability of being drawn, which is unbiased (inverse-inclusion, for uniform)."""
    exponent: float = Field(default=0.75, ge=0)
    """For popular: a leaf is drawn in proportion to its count to this power. 0.75 is word2vec's
    choice (arXiv:1310.4546), 1 draws by popularity itself, 0 all that occur alike."""
    beam_width: PositiveInt = 20
    """For beam: prefixes that the search keeps at each level."""
    mine_every: PositiveInt = 8
    """For beam: optimiser steps between searches; the model moves on by so many meanwhile."""

    @model_validator(mode="after")
    def _fits_its_source(self) -> NegativesConfig:
        allowed = SCALINGS[self.source]
        if self.scaling not in allowed:
            raise ValueError(
                f"scaling {self.scaling!r} does not fit source {self.source!r}: "
                f"use one of {', '.join(allowed)}"
            )
        for name, source in SOURCE_OF_SETTING.items():
            value, default = self.__dict__[name], type(self).model_fields[name].default
            if value != default and self.source != source:
                raise ValueError(
                    f"{name}={value} is for source {source!r}, got source {self.source!r}: "
                    f"set source={source} or leave {name} out"
                )
        return self


@dataclass(frozen=True)
class Candidates:
    """What competes with each target, which is column 0."""

    leaves: Int64[Tensor, "batch candidates"]
    """Leaves of the catalog; -1 where there is none."""
    depths: Int64[Tensor, "batch candidates"] | None = None
    """Leading tokens of the leaf's path that the candidate consists of: a prefix is named by any
    leaf below it and its depth. None where all are whole; 0 where there is no candidate."""

    def rows(self, chosen: Int64[Tensor, " chosen"]) -> Candidates:
        """The candidates of these targets, in this order."""
        return self._map(lambda column: column[chosen])

    def to(self, device: torch.device) -> Candidates:
        """The same candidates on `device`."""
        return self._map(lambda column: column.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Candidates:
        depths = None if self.depths is None else change(self.depths)
        return Candidates(change(self.leaves), depths)


@dataclass(frozen=True)
class Competition:
    """Which prefixes of some candidates compete, as `CandidateScores` defines it."""

    counts: Bool[Tensor, "batch candidates levels"]
    log_weights: Float[Tensor, "batch candidates levels"] | None
    """Of the target and of what does not count 0; None where all are."""
    is_item: Bool[Tensor, "batch candidates"]


def sample_negatives(
    target_leaves: Int64[Tensor, " batch"],
    num_leaves: int,
    count: int,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, "batch count"]:
    """Draw `count` distinct leaves other than the target for each row, uniformly.

    Every ordered choice of distinct leaves is equally likely: which draws are repeated depends on
    their positions and equality only, so no leaf is treated differently from another.

    Args:
        target_leaves: In 0..num_leaves-1.
        num_leaves: Leaves of the catalog.
        count: Negatives a row.
        generator: Source of randomness on the device of `target_leaves`.

    Raises:
        ValueError: If there are fewer than `count` other leaves.
    """
    others = num_leaves - 1
    if not 1 <= count <= others:
        raise ValueError(
            f"count={count} negatives must lie in 1..{others}, the leaves beside the target "
            f"(num_leaves={num_leaves}): lower negatives.count"
        )
    shape, device = (len(target_leaves), count), target_leaves.device
    if 2 * count > others:  # redrawing would meet mostly repeats; here a permutation is short
        keys = torch.rand(shape[0], others, generator=generator, device=device, dtype=torch.float64)
        draws = keys.argsort(1)[:, :count]
    else:
        draws = torch.randint(others, shape, generator=generator, device=device)
        repeated = ~first_of_equals(draws)
        while repeated.any():
            num_repeated = int(repeated.sum())
            draws[repeated] = torch.randint(
                others, (num_repeated,), generator=generator, device=device
            )
            repeated = ~first_of_equals(draws)
    return draws + (draws >= target_leaves[:, None])


def competition(catalog: Catalog, candidates: Candidates, scaling: Scaling = "none") -> Competition:
    """Which prefixes of the candidates compete at which level, and the log of their weights.

    A prefix competes where it exists and neither the target nor an earlier candidate has it.

    Args:
        catalog: Tells prefixes apart.
        candidates: Column 0 the target.
        scaling: With D the catalog's distinct prefixes of that length and n those that count in
            this row, the target's included, a negative prefix weighs

                none               1
                released           (D - 1) / n, as APAO's released code has it
                inverse-inclusion  1 / probability that a draw of that many leaves meets it

            With the last, for leaves as `sample_negatives` drew them, the expectation over draws of
            a weighted sum over the negatives that count is the sum over all competitors in the
            catalog.
    """
    nodes = candidate_nodes(catalog, candidates)
    counts = first_of_equals(nodes) & (nodes >= 0)
    bounds = torch.tensor(catalog.level_start, device=nodes.device)
    log_weights = log_weights_of(catalog, nodes, counts, bounds[2:] - bounds[1:-1], scaling)
    return Competition(counts, log_weights, _is_item(catalog, candidates))


def log_weights_of(
    catalog: Catalog,
    nodes: Int64[Tensor, "batch candidates levels"],
    counts: Bool[Tensor, "batch candidates levels"],
    num_prefixes: Int64[Tensor, "*levels"],
    scaling: Scaling,
) -> Float[Tensor, "batch candidates levels"] | None:
    """Log of the weights that `competition` tells of; None where all are 1.

    Args:
        catalog: Tells how much lies below each prefix.
        nodes: The prefixes, -1 where there is none.
        counts: Which of them compete.
        num_prefixes: D, of every level, or of every target and level.
        scaling: As in `competition`.
    """
    if scaling == "none":
        return None
    if scaling == "released":
        others = (num_prefixes - 1).log()
        others = others[:, None] if others.ndim > 1 else others
        log_weights = others - counts.sum(1, keepdim=True).log()
    else:
        known = nodes.clamp(min=0)
        num_below = (catalog.leaf_stop[known] - catalog.leaf_start[known]).long()
        distinct, place = num_below.unique(return_inverse=True)
        num_drawn = nodes.shape[1] - 1
        log_weights = -log_inclusion_probability(distinct, catalog.num_leaves - 1, num_drawn)[place]
    weighted = counts & (torch.arange(nodes.shape[1], device=nodes.device) > 0)[:, None]
    return torch.where(weighted, log_weights, 0.0).float()


def first_of_equals(
    values: Int64[Tensor, "batch candidates *levels"],
) -> Bool[Tensor, "batch candidates *levels"]:
    """Whether no earlier candidate of the row has the same value."""
    ordered, order = values.sort(dim=1, stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(first).scatter_(1, order, first)


def candidate_nodes(
    catalog: Catalog, candidates: Candidates
) -> Int64[Tensor, "batch candidates levels"]:
    """The candidates' prefixes as nodes of the catalog, -1 past their ends."""
    nodes = catalog.leaf_nodes[candidates.leaves.clamp(min=0)].long()
    missing = (candidates.leaves < 0)[..., None]
    if candidates.depths is not None:
        levels = torch.arange(catalog.num_levels, device=nodes.device)
        missing = missing | (levels >= candidates.depths[..., None])
    return nodes.masked_fill(missing, -1)


def _is_item(catalog: Catalog, candidates: Candidates) -> Bool[Tensor, "batch candidates"]:
    """Whether a candidate is a whole item that neither the target nor an earlier one is."""
    items = candidates.leaves
    if candidates.depths is not None:
        lengths = (catalog.leaf_nodes[items.clamp(min=0)] >= 0).sum(-1)
        items = torch.where(candidates.depths >= lengths, items, -1)
    return first_of_equals(items) & (items >= 0)
