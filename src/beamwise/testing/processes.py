"""A function run in several processes that train together."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch


def run_together(work: Callable[..., object], *arguments: Any, count: int = 2) -> list[Any]:
    """What `work(*arguments)` returns in each process of a gloo group, by rank.

    Args:
        work: A module's own function, so that another process can import it.
        arguments: Of `work`.
        count: Processes.

    Raises:
        queue.Empty: If a process has no result within four minutes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_process, args=(rank, count, port, results, work, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        found = dict(results.get(timeout=240) for _ in processes)
    finally:
        for process in processes:
            process.join(timeout=30)
    return [found[rank] for rank in range(count)]


def _process(
    rank: int, count: int, port: int, results: Any, work: Callable[..., object], arguments: Any
) -> None:
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "ACCELERATE_USE_CPU": "true",
    }
    torch.set_num_threads(1)
    results.put((rank, work(*arguments)))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
