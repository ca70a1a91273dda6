"""Matrix products on CPUs where the default library leaves half of the machine unused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch

CPU_DESCRIPTION = Path("/proc/cpuinfo")
RELATIVE_ERROR = 1e-5
"""What fp32 products stay under by far at the size tried, and bf16 products exceed (about 2e-3)."""


@contextmanager
def fast_cpu_products() -> Iterator[None]:
    """Compute fp32 products on the CPU by oneDNN instead of MKL where that is faster.

    MKL takes its 256-bit path on CPUs of other makers than Intel, oneDNN the 512-bit one: on an AMD
    EPYC of the Zen 5 generation 200 against 90 GFLOP/s at this package's sizes, bmm 110 against 50.
    PyTorch hands fp32 products to oneDNN only where bf16 is allowed inside them. Without matrix
    tiles (AMX) oneDNN computes them in fp32 all the same; this is checked once against float64,
    and anything else leaves the default in place.
    """
    products = _onednn_products()
    before = products.fp32_precision
    if not _is_faster_and_exact(CPU_DESCRIPTION):
        yield
        return
    try:
        products.fp32_precision = "bf16"
        yield
    finally:
        products.fp32_precision = before


def has_wide_units_that_mkl_leaves(description: str) -> bool:
    """Whether `/proc/cpuinfo` tells of AVX-512 without AMX on a CPU that is not Intel's."""
    flags = description.partition("flags")[2].partition("\n")[0].split()
    maker = description.partition("vendor_id")[2].partition("\n")[0].strip(" \t:")
    return (
        bool(maker) and maker != "GenuineIntel" and "avx512f" in flags and "amx_tile" not in flags
    )


@cache
def _is_faster_and_exact(path: Path) -> bool:
    if not torch.backends.mkldnn.is_available() or not path.is_file():
        return False
    return has_wide_units_that_mkl_leaves(path.read_text()) and _is_fp32_inside()


def _is_fp32_inside() -> bool:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(128, 128, generator=generator) for _ in range(2))
    products = _onednn_products()
    before = products.fp32_precision
    try:
        products.fp32_precision = "bf16"
        product = left @ right
    finally:
        products.fp32_precision = before
    exact = left.double() @ right.double()
    return float(((product - exact) / exact).abs().max()) < RELATIVE_ERROR


def _onednn_products() -> Any:
    """PyTorch's setting of oneDNN's products, which its type stubs leave out."""
    return cast(Any, torch.backends.mkldnn).matmul
