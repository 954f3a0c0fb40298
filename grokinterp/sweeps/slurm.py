"""submitit's jobs behind the Executor interface, so that a sweep sees futures and nothing else."""

import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError

POLL_SECONDS = 2.0


class SubmititExecutor(Executor):
    """An Executor over a submitit executor ("slurm", or "local" and "debug" for tests).

    One thread looks after all jobs; a job that submitit gives up becomes its future's exception.
    """

    def __init__(self, inner: Any, poll_seconds: float = POLL_SECONDS) -> None:
        self._inner, self._poll = inner, poll_seconds
        self._jobs: dict[Future[Any], Any] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="submitit", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a call to submitit."""
        if self._closed.is_set():
            raise RuntimeError("cannot submit to an executor that was shut down")
        future: Future[Any] = Future()
        job = self._inner.submit(fn, *args, **kwargs)
        future.set_running_or_notify_cancel()
        with self._lock:
            self._jobs[future] = job
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop watching; with `cancel_futures` the jobs are cancelled first."""
        if cancel_futures:
            with self._lock:
                jobs = list(self._jobs.values())
            for job in jobs:
                with contextlib.suppress(Exception):  # a job that ended meanwhile cannot be cancelled
                    job.cancel()
        self._closed.set()
        if wait:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            with self._lock:
                waiting = list(self._jobs.items())
            for future, job in waiting:
                if job.done():
                    with self._lock:
                        del self._jobs[future]
                    self._settle(future, job)
            if self._closed.is_set() and not self._jobs:
                return
            self._closed.wait(self._poll) if not self._closed.is_set() else threading.Event().wait(self._poll)

    @staticmethod
    def _settle(future: Future[Any], job: Any) -> None:
        try:
            future.set_result(job.result())
        except BaseException as error:
            future.set_exception(error)


@contextlib.contextmanager
def slurm_executor(folder: Path, workers: int | None, cluster: str = "slurm") -> Generator[Executor]:
    """An executor whose jobs are Slurm's, or for tests those of submitit's "local" cluster.

    Args:
        folder: Where submitit keeps its job files; shared by all nodes.
        workers: Jobs at a time; None: as Slurm likes.
        cluster: submitit's name.
    """
    import submitit

    try:
        inner = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
    except RuntimeError as error:
        raise GrokinterpError(f"there is no Slurm here ({error}); use --executor local or dask") from None
    limit = {"slurm_array_parallelism": workers} if workers is not None and cluster == "slurm" else {}
    inner.update_parameters(cpus_per_task=1, timeout_min=24 * 60, name="grokinterp", **limit)
    executor = SubmititExecutor(inner, poll_seconds=0.2 if cluster != "slurm" else POLL_SECONDS)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        executor.shutdown(wait=True)
