"""What the beam lost: its result beside the full sort's, which misses nothing."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from jaxtyping import Int64
from torch import Tensor

from beamwise.decoding import SearchResult
from beamwise.evaluation.metrics import leaf_ranks


@dataclass(frozen=True)
class SurvivalCounts:
    """Targets by what became of them, and leaves that the beam kept; counts add up over batches.

    With K results of either search, every target is one of four: recall@K by ID is
    `(found + promoted) / users` under the beam and `(found + pruned) / users` under the full sort.
    """

    found: int = 0
    """Among the K best of the full sort, and returned by the beam."""
    pruned: int = 0
    """Among the K best of the full sort, but a prefix of it fell out of the beam."""
    promoted: int = 0
    """Not among the K best, but returned since the beam had pruned better leaves."""
    outscored: int = 0
    """Neither: K leaves score higher, and no search that is exact returns it."""
    best_leaves: int = 0
    """Leaves that the full sort returned, over all users."""
    retained_leaves: int = 0
    """Those of them that the beam returned as well."""

    def __add__(self, other: SurvivalCounts) -> SurvivalCounts:
        """Counts of both groups of users together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return SurvivalCounts(*(mine + theirs for mine, theirs in pairs))

    @property
    def users(self) -> int:
        """Targets counted."""
        return self.found + self.pruned + self.promoted + self.outscored

    def shares(self) -> dict[str, float]:
        """Each outcome's share of the users, and `retention`: retained of the best leaves.

        Raises:
            ValueError: If nothing was counted.
        """
        if self.users == 0 or self.best_leaves == 0:
            raise ValueError("no targets were counted: shares need at least one user with results")
        outcomes = {
            "found": self.found,
            "pruned": self.pruned,
            "promoted": self.promoted,
            "outscored": self.outscored,
        }
        shares = {name: count / self.users for name, count in outcomes.items()}
        return shares | {"retention": self.retained_leaves / self.best_leaves}


def count_survival(
    beam: SearchResult, full_sort: SearchResult, target_leaves: Int64[Tensor, " batch"]
) -> SurvivalCounts:
    """Compare a beam search with the full sort of the same histories under the same mask.

    Args:
        beam: What the beam search returned.
        full_sort: What the full sort returned, for the same `top_k`.
        target_leaves: Leaf of each target, >= 0.

    Raises:
        ValueError: If the two have different numbers of users or of results.
    """
    if beam.leaves.shape != full_sort.leaves.shape:
        raise ValueError(
            f"beam results are {tuple(beam.leaves.shape)}, full sort results "
            f"{tuple(full_sort.leaves.shape)} (users, top_k): "
            "run both on the same histories and top_k"
        )
    return count_outcomes(beam.leaves, full_sort.leaves, target_leaves)


def count_outcomes(
    returned: Int64[Tensor, "batch returned"],
    best: Int64[Tensor, "batch best"],
    target_leaves: Int64[Tensor, " batch"],
) -> SurvivalCounts:
    """Compare the leaves that a search returned with the best there are.

    Args:
        returned: Distinct leaves of each user, padded with -1.
        best: The K best of each user, padded alike; a narrow search may have returned fewer.
        target_leaves: Leaf of each target, >= 0.
    """
    in_beam = leaf_ranks(returned, target_leaves) > 0
    in_best = leaf_ranks(best, target_leaves) > 0
    is_leaf = best >= 0
    kept = (best[:, :, None] == returned[:, None, :]).any(dim=2) & is_leaf
    return SurvivalCounts(
        found=int((in_best & in_beam).sum()),
        pruned=int((in_best & ~in_beam).sum()),
        promoted=int((~in_best & in_beam).sum()),
        outscored=int((~in_best & ~in_beam).sum()),
        best_leaves=int(is_leaf.sum()),
        retained_leaves=int(kept.sum()),
    )
