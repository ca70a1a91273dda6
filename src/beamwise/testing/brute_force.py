"""Naive decoding in Python loops and float64: what every search is tested against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

Path = tuple[int, ...]
NextTokenLogits = Callable[[Path], Sequence[float]]
TOLERANCE = 1e-5


class Ranking(NamedTuple):
    """The best leaves and items of one user, without padding."""

    leaves: list[int]
    leaf_log_probs: list[float]
    items: list[int]
    log_probs: list[float]
    exact: bool


class BruteForce:
    """Scores prefixes of a list of items one at a time.

    Args:
        paths: Every item's tokens, end token included.
        next_token_logits: Logits over the vocabulary after a prefix, for one user.
        mask: "after" or "before", as in `beam_search`.
        eligible: Whether each item may be returned; all where not given.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        next_token_logits: NextTokenLogits,
        mask: str = "after",
        eligible: Sequence[bool] | None = None,
    ) -> None:
        self._paths = list(paths)
        self._leaves = sorted(set(paths))
        self._next_token_logits = next_token_logits
        self._mask = mask
        self._eligible = [True] * len(paths) if eligible is None else list(eligible)

    def full_sort(self, top_k: int) -> Ranking:
        """Score and sort every leaf."""
        scored = [(path, self.log_prob(path)) for path in self._leaves]
        return self._ranking(scored, [], top_k)

    def beam_search(self, widths: Sequence[int], top_k: int) -> Ranking:
        """Keep `widths[level]` prefixes after each level, in Python lists."""
        beam: list[tuple[Path, float]] = [((), 0.0)]
        found: list[tuple[Path, float]] = []
        dropped: list[float] = []
        for width in widths:
            extended = []
            for prefix, score in beam:
                for token, step in self._steps(prefix).items():
                    child = (*prefix, token)
                    if self._has_eligible(child):
                        extended.append((child, score + step))
            found += [(path, score) for path, score in extended if path in self._leaves]
            open_ends = [(path, score) for path, score in extended if path not in self._leaves]
            open_ends.sort(key=lambda entry: (-entry[1], entry[0]))
            beam = open_ends[:width]
            dropped += [score for _, score in open_ends[width:]]
        return self._ranking(found, dropped, top_k)

    def log_prob(self, path: Path) -> float:
        """Sum of the log-probabilities of a path's tokens, from the first on."""
        total = 0.0
        for depth, token in enumerate(path):
            total += self._steps(path[:depth])[token]
        return total

    def _steps(self, prefix: Path) -> dict[int, float]:
        depth = len(prefix)
        legal = sorted({p[depth] for p in self._paths if p[:depth] == prefix and len(p) > depth})
        logits = self._next_token_logits(prefix)
        normalized_over = logits if self._mask == "after" else [logits[token] for token in legal]
        normalizer = torch.tensor(normalized_over, dtype=torch.float64).logsumexp(0).item()
        return {token: logits[token] - normalizer for token in legal}

    def _has_eligible(self, prefix: Path) -> bool:
        depth = len(prefix)
        pairs = zip(self._paths, self._eligible, strict=True)
        return any(allowed and path[:depth] == prefix for path, allowed in pairs)

    def _ranking(
        self, found: Sequence[tuple[Path, float]], dropped: Sequence[float], top_k: int
    ) -> Ranking:
        found = [(path, score) for path, score in found if self._has_eligible(path)]
        best = sorted(found, key=lambda entry: (-entry[1], entry[0]))[:top_k]
        of_items = [
            (item, score)
            for leaf, score in best
            for item, path in enumerate(self._paths)
            if path == leaf and self._eligible[item]
        ][:top_k]
        kth = best[-1][1] if len(best) == top_k else float("-inf")
        return Ranking(
            leaves=[self._leaves.index(path) for path, _ in best],
            leaf_log_probs=[score for _, score in best],
            items=[item for item, _ in of_items],
            log_probs=[score for _, score in of_items],
            exact=not dropped or max(dropped) < kth - TOLERANCE,
        )
