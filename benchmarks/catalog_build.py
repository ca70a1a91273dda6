"""Builds a catalog of a million items; the alternative is a trie of Python dicts.

    python benchmarks/catalog_build.py [--items 1000000] [--levels 4]

Prints one JSON line: seconds, peak resident memory of the process, and how many times longer the
trie of dicts takes, measured in the same process on a sample and scaled to all items.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from beamwise.catalog import Catalog

CODEBOOK_SIZE = 256
SAMPLE = 100_000


def peak_mebibytes() -> float:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def dict_trie(rows: np.ndarray) -> dict[int, dict]:
    """Nested dicts, token to subtree, one insertion an item."""
    root: dict[int, dict] = {}
    for row in rows.tolist():
        node = root
        for token in row:
            node = node.setdefault(token, {})
    return root


def main() -> None:
    """Measure both and print the line."""
    parser = argparse.ArgumentParser(description="Time the building of a catalog.")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--levels", type=int, default=4)
    arguments = parser.parse_args()
    shape = (arguments.items, arguments.levels)
    codes = np.random.default_rng(0).integers(0, CODEBOOK_SIZE, shape, dtype=np.int32)
    before = peak_mebibytes()
    start = time.perf_counter()
    catalog = Catalog.from_codes(codes, CODEBOOK_SIZE)
    seconds = time.perf_counter() - start
    peak = peak_mebibytes()
    start = time.perf_counter()
    dict_trie(codes[:SAMPLE])
    scaled = (time.perf_counter() - start) * arguments.items / min(SAMPLE, arguments.items)
    line = {
        "benchmark": "catalog_build",
        "items": catalog.num_items,
        "levels": catalog.num_levels,
        "nodes": catalog.num_nodes,
        "seconds": round(seconds, 3),
        "peak_rss_mib": round(peak),
        "rss_before_build_mib": round(before),
        "alternative": f"dict of dicts on {min(SAMPLE, arguments.items)} items, scaled",
        "alternative_seconds": round(scaled, 3),
        "ratio": round(scaled / seconds, 2),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
