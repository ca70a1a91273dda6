"""Search for the most probable items of a catalog: by beam search, exactly, or by full sort."""

from beamwise.decoding.beam_search import beam_search
from beamwise.decoding.eligibility import ListedItems
from beamwise.decoding.exact_ranking import exact_ranking
from beamwise.decoding.exact_search import exact_search
from beamwise.decoding.full_sort import full_sort, node_log_probs
from beamwise.decoding.results import SearchResult

__all__ = [
    "ListedItems",
    "SearchResult",
    "beam_search",
    "exact_ranking",
    "exact_search",
    "full_sort",
    "node_log_probs",
]
