"""Work dealt out to the processes of torch.distributed, and what they found put together."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

Part = TypeVar("Part")


def place() -> tuple[int, int]:
    """This process's rank, and how many processes there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(mine: Part) -> list[Part]:
    """What every process has, in the order of their ranks, on all of them."""
    _, num_processes = place()
    if num_processes == 1:
        return [mine]
    gathered: list[Part] = [mine] * num_processes
    dist.all_gather_object(gathered, mine)
    return gathered
