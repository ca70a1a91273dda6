"""The matrix products of a piece of work: how many multiply-adds, and how fast each could be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from beamwise.backbones.products import fast_cpu_products

aten = torch.ops.aten
SIZE_OF_A_SQUARE = 1024
SECONDS_TO_TRY = 0.02
"""How long a product is repeated to be timed."""


@dataclass(frozen=True)
class Operand:
    """What a product's time depends on, of one of its tensors."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> Operand:
        """Of a tensor."""
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype)

    def make(self) -> Tensor:
        """A tensor like it, of random values."""
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype).normal_()


@dataclass(frozen=True)
class Product:
    """One matrix product, or a batch of them."""

    left: Operand
    right: Operand

    @property
    def multiply_adds(self) -> int:
        """Rows of the left, columns of both, columns of the right."""
        return _size(self.left.shape) * self.right.shape[-1]

    def seconds(self) -> float:
        """How long it takes alone, its operands in reach: the best of some repetitions."""
        left, right = self.left.make(), self.right.make()
        multiply = torch.bmm if left.dim() == 3 else torch.mm
        multiply(left, right)
        best, end = float("inf"), time.perf_counter() + SECONDS_TO_TRY
        while (begin := time.perf_counter()) < end:
            multiply(left, right)
            best = min(best, time.perf_counter() - begin)
        return best


class RecordedProducts(TorchDispatchMode):
    """Records every matrix product that is computed inside, the backward pass included.

    Fused attention counts as the products that it replaces: two forward and four backward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Product] = Counter()
        self.fused_attention = 0
        """Multiply-adds."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute as ever, and note what it was."""
        name = func.overloadpacket
        if name in PRODUCTS:
            left, right = args[PRODUCTS[name] :][:2]
            self.calls[Product(Operand.of(left), Operand.of(right))] += 1
        elif name in FUSED_ATTENTION:
            first, number = FUSED_ATTENTION[name]
            queries, keys = args[first], args[first + 1]
            self.fused_attention += number * _size(queries.shape) * keys.shape[-2]
        return func(*args, **(kwargs or {}))

    @property
    def multiply_adds(self) -> int:
        """Of all products together."""
        plain = sum(product.multiply_adds * count for product, count in self.calls.items())
        return plain + self.fused_attention

    def seconds_alone(self) -> float:
        """How long all plain products take, each repeated alone: what can be reached at most."""
        return sum(product.seconds() * count for product, count in self.calls.items())


PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1}
"""The operations that are products, and where their operands stand."""
FUSED_ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu: (0, 2),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: (1, 4),
}
"""Where the queries stand, the keys next to them, and how many products the operation is."""


def multiply_adds(work: Callable[[], object]) -> int:
    """Multiply-adds of the matrix products of a piece of work."""
    with fast_cpu_products():
        pass  # tries once what it may do, with products of its own
    with RecordedProducts() as recorded:
        work()
    return recorded.multiply_adds


def square(dtype: torch.dtype) -> Product:
    """The product by which a processor's peak is usually told."""
    shape = (SIZE_OF_A_SQUARE, SIZE_OF_A_SQUARE)
    operand = Operand(shape, (SIZE_OF_A_SQUARE, 1), dtype)
    return Product(operand, operand)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for number in shape:
        size *= number
    return size
