"""Where the runs of a sweep are trained: local processes, dask, Slurm, or an executor of the caller's own.

All of them are `concurrent.futures.Executor`s. Local processes are those of the standard library, started
afresh (no fork of a process that has torch's threads).
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from grokinterp.errors import GrokinterpError

GRACE_SECONDS = 10.0
"""What a run has to write its state after its sweep was killed."""

Kind = Literal["local", "dask", "slurm"]
Start = Callable[[int | None], contextlib.AbstractContextManager[Executor]]
"""start(workers): an executor, shut down at the end of the block. workers=1: one that trains one run at a time."""


def default_workers() -> int:
    """As many as there are cores for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def starter(kind: Kind, workers: int | None = None, scheduler: str | None = None, folder: Path | None = None) -> Start:
    """How executors of a kind are started; a sweep may need a second one after a worker died.

    Args:
        kind: local, dask or slurm.
        workers: Runs at a time; None: as many as there are cores (of a scheduler: as many as it has).
        scheduler: Address of a dask scheduler, tcp://host:port; a LocalCluster on loopback if not given.
        folder: Where Slurm's job files go.

    Raises:
        GrokinterpError: an unknown kind, or its package is not installed.
    """
    if workers is not None and workers < 1:
        raise GrokinterpError(f"workers = {workers} must be at least 1")
    if scheduler is not None and kind != "dask":
        raise GrokinterpError("a scheduler belongs to dask; use --executor dask")
    match kind:
        case "local":
            return lambda n: _local(n or workers or default_workers())
        case "dask":
            _need("distributed", "dask")
            return lambda n: _dask(n or workers or default_workers(), scheduler)
        case "slurm":
            _need("submitit", "slurm")
            from grokinterp.sweeps.slurm import slurm_executor

            return lambda n: slurm_executor(folder or Path("slurm"), n or workers)
    raise GrokinterpError(f"{kind!r} is no executor; choose from local, dask, slurm")


@contextlib.contextmanager
def _local(workers: int) -> Generator[Executor]:
    with one_thread_each():
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=leave_with_parent)
        try:
            yield pool
        except BaseException:
            # a worker notices between two steps, and leaves a run that goes on from there
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise
        finally:
            pool.shutdown(wait=True)


def leave_with_parent() -> None:
    """Make this worker stop its run and end once the process that started it is gone.

    A killed parent closes nothing: its workers would wait for work for ever, and go on with what they have.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)  # training stops between two steps, and keeps what it has
    time.sleep(GRACE_SECONDS)
    os._exit(1)


@contextlib.contextmanager
def one_thread_each() -> Generator[None]:
    """Children that are started inside have one thread each in torch's and numpy's libraries."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _dask(workers: int, scheduler: str | None) -> Generator[Executor]:
    import distributed

    with contextlib.ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(one_thread_each())
            options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            cluster = distributed.LocalCluster(processes=True, host="127.0.0.1", silence_logs=50, **options)
            client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        else:
            try:
                client = stack.enter_context(distributed.Client(scheduler, timeout="10s"))
            except (OSError, TimeoutError, ValueError) as error:
                raise GrokinterpError(f"no dask scheduler answers at {scheduler} ({type(error).__name__})") from None
        yield client.get_executor(pure=False)


def _need(module: str, extra: str) -> None:
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise GrokinterpError(f"{module} is not installed; pip install 'grokinterp[{extra}]'")
