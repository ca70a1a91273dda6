"""The same best leaves as a full sort, proved, as a rule at up to three beam searches' price."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import ListedItems
from beamwise.decoding.frontier import Frontier
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import SearchResult
from beamwise.decoding.search import chunks_by_length

MAX_PREFIXES = 2**13
"""Prefixes computed per user, at most, where not given: 8 KiB each in a Llama of the paper's
size."""
EXTRA_WIDTH = 20
"""Prefixes that the first beam keeps beyond one for each result. With about twice as many as there
are results the true k-th score is nearly always found, so few prefixes are left that could win. On
Office with small Llamas, for 5, 20 and 50 results, this scores within 5 % of the best width."""
GROWTH, MOST_AT_ONCE = 8, 2**11
"""Factor by which each later step takes more of a user's open prefixes than the one before, and the
most that it takes."""
PREFIXES_AT_ONCE = 2**12
"""Prefixes to compute for what is open, over the users that are searched on together."""
PREFIXES_HELD, MOST_USERS = 2**15, 64
"""Of the users of a chunk where no size is asked for: prefixes that their first beams may compute,
8 KiB each in a Llama of the paper's size, so 256 MiB; and users: on a CPU 128 at once take 1.2
times as long, since their prefixes leave the cache."""


@torch.no_grad()
def exact_search(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    top_k: int = 20,
    mask: str = "after",
    eligible: Bool[Tensor, " items"]
    | Bool[Tensor, "batch items"]
    | Tensor
    | ListedItems
    | None = None,
    *,
    beam_width: int | None = None,
    max_prefixes: int = MAX_PREFIXES,
    chunk_size: int | None = None,
) -> SearchResult:
    """Find the `top_k` leaves that `full_sort` finds, and prove it; order and errors as there.

    A prefix is at least as probable as what is below it. So a beam search comes first, whose k-th
    leaf is a floor: of the prefixes that the beam pruned, only those at or above it (less 1e-5
    nats, for rounding) can lead to a better leaf. The search goes on from these, the best first and
    many at once, on top of all that the beam computed. Leaves raise the floor, and what falls below
    it is closed; when nothing is open, the result is proved. No prefix is scored twice. On titles
    a forced run is one step of the search, and one whose tokens are certain leads to its leaf at
    once.

    Args:
        backbone: On the catalog's device; searched in evaluation mode, its own is restored.
        histories: Item indices in time order, right-padded with -1.
        catalog: What may be returned.
        top_k: Leaves and items returned.
        mask: As in `beam_search`.
        eligible: As in `beam_search`.
        beam_width: Of the first beam; `top_k` + 20 where not given. A wider one costs more and
            leaves less to prove.
        max_prefixes: Prefixes computed per user at most, and open ones kept up to that: bounds work
            and memory. A user that needs more gets the best that was found, `exact` false.
        chunk_size: Users searched at a time; changes speed and memory only. Where not given, as
            many as `PREFIXES_HELD` leaves room for, up to `MOST_USERS`.

    Returns:
        Among others `exact`: true where the result is proved.

    Raises:
        ValueError: If an argument is out of range, or the backbone gives NaN.
    """
    request = SearchRequest(backbone, histories, catalog, top_k, mask, eligible)
    width = top_k + EXTRA_WIDTH if beam_width is None else beam_width
    for name, value in (
        ("beam_width", width), ("max_prefixes", max_prefixes), ("chunk_size", chunk_size)
    ):  # fmt: skip
        if value is not None and value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    if chunk_size is None:
        held = min(math.ceil(width * catalog.path_shape.mean_tokens), max_prefixes)
        chunk_size = max(1, min(MOST_USERS, PREFIXES_HELD // held))
    done: list[Int64[Tensor, " users"]] = []
    found: list[SearchResult] = []
    with eval_mode(backbone), fast_cpu_products():
        for users in chunks_by_length(histories, chunk_size)[1]:
            parts = _search(Frontier.after_beam(request, users, max_prefixes, width), width)
            for some, result in parts:
                done.append(some)
                found.append(result)
    return SearchResult.joined(found).rows(torch.cat(done).argsort())


def _search(
    frontier: Frontier, width: int
) -> Iterator[tuple[Int64[Tensor, " users"], SearchResult]]:
    """The best open prefixes, more and more at once, until none is left; users as they are done.

    Where users are parted into groups, one group goes on to its end before the next begins: only
    one at a time holds more than it began with.

    Args:
        frontier: After the first beam.
        width: Of that.
    """
    todo: list[tuple[Frontier, int]] = []
    while True:
        width *= GROWTH
        num_open = frontier.num_open()
        is_done = num_open == 0
        rows = is_done.nonzero()[:, 0]
        if len(rows) or not len(num_open):
            yield frontier.users[rows], frontier.results(rows)
        order = num_open.argsort(stable=True)[len(rows) :]
        for rows in _alike(order, num_open[order]):
            todo.append((frontier.of_rows(rows), width))
        if not todo:
            return
        frontier, width = todo.pop()
        frontier.advance(min(width, MOST_AT_ONCE))


def _alike(
    rows: Int64[Tensor, " rows"], num_open: Int64[Tensor, " rows"]
) -> Iterator[Int64[Tensor, " some"]]:
    """Users with about as much left to do, so that little of what is computed is padding."""
    counts = num_open.tolist()
    first = 0
    for stop in range(1, len(counts) + 1):
        if stop == len(counts) or (stop + 1 - first) * counts[stop] > PREFIXES_AT_ONCE:
            yield rows[first:stop]
            first = stop
