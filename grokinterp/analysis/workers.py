"""Checkpoints side by side: one thread and one core each.

The tensors of a small network are too small to keep two cores busy in one operation, so checkpoints
are divided among threads, and torch is told to use one core in each. Threads and not processes: torch
lets go of the interpreter's lock while it computes, and nothing has to be started or sent.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")

MAX_JOBS = 8

AHEAD = 16
"""Results that may wait for a slow checkpoint before them; a checkpoint at an event takes as long as ten others."""

MEMORY_PER_JOB = 256 * 2**20
"""Bytes that a logit cube may take if several checkpoints are to be held at once."""


def default_jobs(n_logits: int, device: str) -> int:
    """One for each core; a single one on a GPU, or where a logit cube (8 bytes a logit) is large."""
    if device != "cpu" or 8 * n_logits > MEMORY_PER_JOB:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_JOBS)


@contextmanager
def without_subnormals() -> Generator[None]:
    """Let this thread take numbers below 1e-38 (float32) for 0.

    The gradients of a network that is sure of itself are full of them, and a product with them takes ten
    times as long.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _one_core() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def in_order(function: Callable[[int], T], steps: Sequence[int], jobs: int) -> Generator[tuple[int, T]]:
    """(step, function(step)) in the order of the steps, `jobs` at a time, AHEAD waiting at most."""
    if jobs == 1:
        for step in steps:
            yield step, function(step)
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="checkpoint", initializer=_one_core)
    waiting: deque[tuple[int, Future[T]]] = deque()
    try:
        for step in steps:
            waiting.append((step, pool.submit(function, step)))
            if len(waiting) > jobs + AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)
