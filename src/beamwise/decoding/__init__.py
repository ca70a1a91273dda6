"""Search for the most probable items of a catalog: by beam search, or by scoring everything."""

from beamwise.decoding.beam_search import beam_search
from beamwise.decoding.full_sort import full_sort
from beamwise.decoding.results import SearchResult

__all__ = ["SearchResult", "beam_search", "full_sort"]
