"""Models that score prefixes of items given a history.

How a history is encoded is the backbone's own choice:

- `tiger` reads the tokens of the items end to end and one end token, and decodes an item from a
  start token.
- `llama` reads the tokens of the items end to end and nothing else; an item's first token is
  predicted from the last token of the history.
- `pretrained`, a language model, reads a prompt with the items' titles; a title's first token is
  predicted from the last token of the prompt.

An empty history is the single end token for the first two, and a prompt that says so for the third.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from beamwise.backbones.base import Backbone, Context, History, PrefixNodes
from beamwise.backbones.llama import Llama, LlamaConfig
from beamwise.backbones.pretrained import Pretrained
from beamwise.backbones.pretrained_config import PretrainedConfig
from beamwise.backbones.tiger import Tiger, TigerConfig

BACKBONES: dict[str, type[Tiger] | type[Llama]] = {"tiger": Tiger, "llama": Llama}
"""Those over any vocabulary: `BACKBONES[name](config, vocab_size)` builds one; `.Config` is its
settings. `pretrained` needs a tokenizer of titles besides: `build_backbone`."""

AnyBackbone = Tiger | Llama | Pretrained
AnyBackboneConfig = Annotated[
    TigerConfig | LlamaConfig | PretrainedConfig, Field(discriminator="name")
]
"""The settings of any backbone, told apart by `name`."""


def build_backbone(
    config: AnyBackboneConfig,
    vocab_size: int,
    tokenizer: Path | None = None,
    described: Path | None = None,
) -> AnyBackbone:
    """A backbone as training begins with it: fresh weights, or those of the language model.

    Args:
        config: Settings.
        vocab_size: Tokens of the catalog.
        tokenizer: Folder of the titles' tokenizer; `pretrained` needs it.
        described: For `pretrained` in a run folder: what the folder keeps of the model, so that
            weights of its checkpoint can follow.

    Raises:
        ValueError: One line, if a language model or its tokenizer is missing or does not fit.
    """
    if not isinstance(config, PretrainedConfig):
        return BACKBONES[config.name](config, vocab_size)  # pyright: ignore[reportArgumentType]
    if tokenizer is None:
        raise ValueError("backbone 'pretrained' needs the folder of the titles' tokenizer")
    return Pretrained.open(config, vocab_size, tokenizer, described)


__all__ = [
    "BACKBONES",
    "AnyBackbone",
    "AnyBackboneConfig",
    "Backbone",
    "Context",
    "History",
    "Llama",
    "LlamaConfig",
    "PrefixNodes",
    "Pretrained",
    "PretrainedConfig",
    "Tiger",
    "TigerConfig",
    "build_backbone",
]
