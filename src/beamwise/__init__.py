"""Train generative recommenders whose items survive beam search, decode them, see what was lost.

What is used is imported on first use, so that `import beamwise` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from beamwise._version import __version__

if TYPE_CHECKING:
    from beamwise.catalog import Catalog
    from beamwise.experiments.evaluate_run import evaluate
    from beamwise.serving.recommender import load
    from beamwise.training.config import RunConfig
    from beamwise.training.run import train

__all__ = ["Catalog", "RunConfig", "__version__", "evaluate", "load", "train"]

_MODULE_OF = {
    "Catalog": "beamwise.catalog",
    "RunConfig": "beamwise.training.config",
    "evaluate": "beamwise.experiments.evaluate_run",
    "load": "beamwise.serving.recommender",
    "train": "beamwise.training.run",
}
_PACKAGES = ("backbones", "data", "decoding", "evaluation", "objectives", "tokenization")


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return vars(import_module(_MODULE_OF[name]))[name]
    if name in _PACKAGES:
        return import_module(f"beamwise.{name}")
    raise AttributeError(f"module 'beamwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES])
