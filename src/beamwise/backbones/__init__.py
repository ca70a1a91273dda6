"""Models that score prefixes of items given a history.

How a history is encoded is the backbone's own choice:

- `tiger` reads the tokens of the items end to end and one end token, and decodes an item from a
  start token.
- `llama` reads the tokens of the items end to end and nothing else; an item's first token is
  predicted from the last token of the history.

An empty history is the single end token for both.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from beamwise.backbones.base import Backbone, Context, History, PrefixNodes
from beamwise.backbones.llama import Llama, LlamaConfig
from beamwise.backbones.tiger import Tiger, TigerConfig

BACKBONES: dict[str, type[Tiger] | type[Llama]] = {"tiger": Tiger, "llama": Llama}
"""`BACKBONES[name](config, vocab_size)` builds a backbone; `.Config` is its settings."""

AnyBackboneConfig = Annotated[TigerConfig | LlamaConfig, Field(discriminator="name")]
"""The settings of any backbone, told apart by `name`."""


def build_backbone(config: AnyBackboneConfig, vocab_size: int) -> Tiger | Llama:
    """A backbone with fresh weights, over `vocab_size` tokens."""
    return BACKBONES[config.name](config, vocab_size)  # pyright: ignore[reportArgumentType]


__all__ = [
    "BACKBONES",
    "AnyBackboneConfig",
    "Backbone",
    "Context",
    "History",
    "Llama",
    "LlamaConfig",
    "PrefixNodes",
    "Tiger",
    "TigerConfig",
    "build_backbone",
]
