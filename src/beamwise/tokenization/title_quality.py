"""What a title catalog asks of a model: tokens, steps that are forced, steps that branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int64

from beamwise.catalog import Catalog

WIDE = 10
"""Children above which a step is counted as wide: the beams of BEAR's experiments."""


@dataclass(frozen=True)
class TitleQuality:
    """Figures on the distinct titles of a catalog, each counted once; steps are tokens to choose.

    The end token is counted as a token, and choosing it as a step.
    """

    num_items: int
    distinct_titles: int
    sharing_items: int
    """Items that are not alone with their title."""
    largest_group: int
    """Items of the title that most share."""
    titles_that_begin_others: int
    """Titles whose text is the beginning of another's: only the end token tells them apart."""
    tokens: float
    """Of a title, mean."""
    tokens_median: float
    tokens_max: int
    forced_steps: float
    """Of a title, mean: steps at which the catalog allows one token only."""
    branching_steps: float
    """Of a title, mean: all other steps."""
    wide_steps: float
    """Of a title, mean: steps with more than `WIDE` children."""
    steps_until_decided: float
    """Of a title, mean: tokens after which no other title is left."""
    first_tokens: int
    """Different ones."""
    widest_step: int
    """Children of the prefix that has most."""

    @property
    def forced_share(self) -> float:
        """Of all steps."""
        return self.forced_steps / self.tokens

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON holds them."""
        return asdict(self) | {"forced_share": self.forced_share, "wide": f"> {WIDE} children"}

    def facts(self) -> dict[str, str]:
        """The figures as tables show them."""
        return {
            "items": f"{self.num_items:,}",
            "distinct titles": f"{self.distinct_titles:,}",
            "items that share a title": f"{self.sharing_items:,} (up to {self.largest_group})",
            "titles that others begin with": f"{self.titles_that_begin_others:,}",
            "tokens of a title, end token included": (
                f"mean {self.tokens:.1f}, median {self.tokens_median:g}, max {self.tokens_max}"
            ),
            "forced steps": f"{self.forced_steps:.1f} ({100 * self.forced_share:.0f} %)",
            "branching steps": f"{self.branching_steps:.1f}",
            f"steps with more than {WIDE} children": f"{self.wide_steps:.1f}",
            "steps until no other title is left": f"{self.steps_until_decided:.1f}",
            "different first tokens": f"{self.first_tokens:,}",
            "children of the widest prefix": f"{self.widest_step:,}",
        }


def measure_titles(catalog: Catalog, titles: Sequence[str]) -> TitleQuality:
    """Measure a catalog of titles.

    Args:
        catalog: Every path closed by an end token.
        titles: By item index; those that the tokens stand for.
    """
    nodes = catalog.leaf_nodes.cpu().numpy().astype(np.int64)
    is_step = nodes >= 0
    lengths = is_step.sum(axis=1)
    children = _children_before(catalog, nodes)[is_step]
    per_leaf = np.bincount(catalog.leaf_of_item.cpu().numpy(), minlength=catalog.num_leaves)
    below = (catalog.leaf_stop - catalog.leaf_start).cpu().numpy()[nodes]
    undecided = ((below > 1) & is_step).sum(axis=1)
    num_titles = catalog.num_leaves
    return TitleQuality(
        num_items=catalog.num_items,
        distinct_titles=num_titles,
        sharing_items=int(per_leaf[per_leaf > 1].sum()),
        largest_group=int(per_leaf.max()),
        titles_that_begin_others=_num_that_begin_others(titles),
        tokens=float(lengths.mean()),
        tokens_median=float(np.median(lengths)),
        tokens_max=int(lengths.max()),
        forced_steps=int((children == 1).sum()) / num_titles,
        branching_steps=int((children > 1).sum()) / num_titles,
        wide_steps=int((children > WIDE).sum()) / num_titles,
        steps_until_decided=float((undecided + (num_titles > 1)).mean()),
        first_tokens=int(catalog.child_start[1]),
        widest_step=int(children.max()),
    )


def _children_before(
    catalog: Catalog, nodes: Int64[np.ndarray, "leaves levels"]
) -> Int64[np.ndarray, "leaves levels"]:
    """Children of the node that each step of each leaf's path starts from."""
    upper = np.zeros_like(nodes)
    upper[:, 1:] = nodes[:, :-1]
    counts = np.diff(catalog.child_start.cpu().numpy())
    return counts[upper].astype(np.int64)


def _num_that_begin_others(titles: Sequence[str]) -> int:
    """A title that begins another begins the one that follows it in order."""
    ordered = sorted(set(titles))
    return sum(after.startswith(title) for title, after in pairwise(ordered))
