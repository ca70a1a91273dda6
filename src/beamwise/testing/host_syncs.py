"""A guard against code that would make the host wait for the device, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READS = frozenset({"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__",
                   "__index__", "__contains__", "__array__", "__repr__", "__format__"})  # fmt: skip
"""Methods of a tensor that need its values on the host."""
VALUE_DEPENDENT = frozenset({"aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero",
                             "aten::masked_select", "aten::_unique2", "aten::unique_dim",
                             "aten::unique_consecutive", "aten::bincount"})  # fmt: skip
"""Operations whose result's shape, or whose result itself, is on the host."""


class HostSyncError(AssertionError):
    """What ran would wait for a device."""


@contextmanager
def forbid_host_syncs() -> Iterator[None]:
    """Raise `HostSyncError` where what runs inside would wait for a device, were it on one.

    Seen are reads of a tensor's values (`item`, `tolist`, `if tensor`) and operations that give as
    many results as the values say (`nonzero`, a boolean index), in forward and backward passes.
    """
    with _NoReads(), _NoValueDependentShapes():
        yield


class _NoReads(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in READS:
            raise HostSyncError(f"Tensor.{name} would wait for the device: stay in tensors")
        return func(*args, **(kwargs or {}))


class _NoValueDependentShapes(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        unsized = name == "aten::repeat_interleave" and kwargs.get("output_size") is None
        if name in VALUE_DEPENDENT or unsized or _has_boolean_index(name, args):
            raise HostSyncError(f"{name} would wait for the device: use masks of a fixed shape")
        return func(*args, **kwargs)


def _has_boolean_index(name: str, args: tuple[Any, ...]) -> bool:
    if not name.startswith("aten::index") or len(args) < 2 or not isinstance(args[1], list | tuple):
        return False
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in args[1])
