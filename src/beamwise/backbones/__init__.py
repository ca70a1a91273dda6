"""Models that score prefixes of items given a history."""

from beamwise.backbones.base import Backbone, Context, History, PrefixNodes
from beamwise.backbones.tiger import Tiger, TigerConfig

BACKBONES: dict[str, type[Tiger]] = {"tiger": Tiger}


def build_backbone(config: TigerConfig, vocab_size: int) -> Tiger:
    """A backbone with fresh weights, over `vocab_size` tokens."""
    return BACKBONES[config.name](config, vocab_size)


__all__ = [
    "BACKBONES",
    "Backbone",
    "Context",
    "History",
    "PrefixNodes",
    "Tiger",
    "TigerConfig",
    "build_backbone",
]
