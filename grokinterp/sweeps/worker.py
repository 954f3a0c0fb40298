"""What happens in a worker: runs trained, analyzed and summarised. Configs come in as text; no model is sent."""

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from grokinterp.errors import GrokinterpError, InUseError

State = Literal["done", "failed", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    why: One sentence for a run that failed; empty for one that did not.
    seconds: Wall time of the job that it was in.
    reused: Whether it had been finished before.
    """

    name: str
    state: State
    why: str = ""
    seconds: float = 0.0
    reused: bool = False


@dataclass(frozen=True)
class Job:
    """One run, or replicas that are trained together; everything is text, so that it travels to any worker.

    names, configs, folders: Of its runs, in the same order; the configs as JSON.
    analyze: Measures, or "all", or None for none.
    attempt: 1, and one more each time that a worker was lost with it.
    """

    names: tuple[str, ...]
    configs: tuple[str, ...]
    folders: tuple[str, ...]
    log: str
    analyze: tuple[str, ...] | Literal["all"] | None
    attempt: int = 1

    @property
    def begun_line(self) -> str:
        """What its log says once a worker has taken it up."""
        return f"begun: attempt {self.attempt}\n"


def carry_out(job: Job) -> list[Outcome]:
    """Train the runs of a job (or go on with them, or reuse them), analyze them if asked, and write their summaries.

    One torch thread, so that where it runs decides nothing about its numbers. What it prints goes to the log. Never
    raises: a run that fails is an outcome.
    """
    started = time.monotonic()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        Path(job.log).parent.mkdir(parents=True, exist_ok=True)
        Path(job.log).open("a").close()
    except OSError as error:
        return [Outcome(name, "failed", f"its log {job.log} cannot be written: {error}") for name in job.names]
    with _printing_to(Path(job.log)) as log:
        log.write(job.begun_line)
        log.flush()  # whoever looks after a worker that died, learns from this line which jobs it had begun
        reused = [_is_finished(*run) for run in zip(job.configs, job.folders, strict=True)]
        if len(job.names) > 1:
            _ending(lambda: _train_together(job), log)
        ends = [
            _ending(lambda run=run: _train_and_analyze(*run, job.analyze), log)
            for run in zip(job.configs, job.folders, strict=True)
        ]
    seconds = round(time.monotonic() - started, 2)
    return [
        Outcome(name, state, why, seconds, was_there)
        for name, (state, why), was_there in zip(job.names, ends, reused, strict=True)
    ]


STOPPED: tuple[State, str] = ("stopped", "stopped before its end")

IN_USE_SECONDS = 15.0

_asked_to_stop = threading.Event()
"""Set in a worker that was asked to stop: the jobs that its pool had already handed it are not begun."""


def _ending(act: Callable[[], None], log: TextIO) -> tuple[State, str]:
    """Do something, and say how it ended.

    A folder that is in use is waited for: the worker of a sweep that was killed a moment ago is still leaving it.
    """
    from grokinterp.training.stop import Interrupted

    if _asked_to_stop.is_set():
        return STOPPED
    deadline = time.monotonic() + IN_USE_SECONDS
    try:
        while True:
            try:
                act()
                break
            except InUseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
    except (Interrupted, KeyboardInterrupt):
        _asked_to_stop.set()
        return STOPPED
    except GrokinterpError as error:
        log.write(f"{error}\n")
        return "failed", str(error)
    except Exception as error:
        traceback.print_exc(file=log)
        return "failed", f"{type(error).__name__}: {error}; the traceback is in {log.name}"
    return "done", ""


@contextlib.contextmanager
def _printing_to(path: Path) -> Generator[TextIO]:
    with (
        path.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield file


def _is_finished(config: str, folder: str) -> bool:
    from grokinterp.config import RunConfig
    from grokinterp.runs.finished import is_finished
    from grokinterp.runs.rundir import RunDir

    rundir = RunDir(folder)
    with contextlib.suppress(GrokinterpError):  # what is wrong with it is said when it is trained
        return rundir.exists() and is_finished(rundir, RunConfig.from_json(config))
    return False


def _train_together(job: Job) -> None:
    """Train replicas in one call; of those that diverged, training each by itself will say so again."""
    import torch

    from grokinterp.config import RunConfig
    from grokinterp.training.replicas import train_replicas

    torch.set_num_threads(1)
    configs = [RunConfig.from_json(config) for config in job.configs]
    train_replicas(configs, list(job.folders), show_progress=False)


def _train_and_analyze(config: str, folder: str, analyze: Sequence[str] | None) -> None:
    import torch

    from grokinterp.analysis import analyze as analyze_run
    from grokinterp.config import RunConfig
    from grokinterp.training.start import train

    torch.set_num_threads(1)
    run = train(RunConfig.from_json(config), folder, show_progress=False)
    if analyze is None:
        if not _has_summary(run):
            write_summary(run)
        return
    outcome = analyze_run(run, None if analyze == "all" else list(analyze), jobs=1, show_progress=False)
    problems = [*outcome.damaged, *(f"{name}: {why}" for name, why in outcome.failed.items())]
    if problems:
        raise GrokinterpError(problems[0])


def _has_summary(run: Any) -> bool:
    from grokinterp.summary import read_summary

    try:
        return bool(read_summary(run.rundir))
    except GrokinterpError:
        return False


def write_summary(run: Any) -> None:
    """summary.json of a run that is not analyzed: config and events; what measures would give is null."""
    from grokinterp.runs.files import write_json
    from grokinterp.summary import summarize

    write_json(run.rundir.summary_path, summarize(run, run.phases))
