"""`gi.sweep`: every run of a recipe, side by side, each lost to nothing but its own fault."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import locked, write_json
from grokinterp.sweeps.executors import Start, starter
from grokinterp.sweeps.jobs import build_jobs
from grokinterp.sweeps.recipe import Recipe, recipe_from
from grokinterp.sweeps.sweepdir import SweepDir
from grokinterp.sweeps.view import SweepView
from grokinterp.sweeps.worker import Job, Outcome, carry_out

RETRIES = 2
"""How often a run is given to another worker after its own was lost."""

ALONE_FROM = 3
"""The attempt from which on a job is tried by itself."""

LOOK_SECONDS = 1.0


@dataclass
class SweepOutcome:
    """How every run ended, by name."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def names(self, state: str) -> list[str]:
        """The runs in a state: done, failed, stopped."""
        return [name for name, outcome in self.outcomes.items() if outcome.state == state]


def sweep(
    recipe: Recipe | Mapping[str, Any],
    directory: str | Path,
    *,
    executor: Executor | Start | None = None,
    retries: int = RETRIES,
    replicas: int = 1,
    show_progress: bool | None = None,
) -> SweepOutcome:
    """Train every run of a recipe into `directory`/NAME, and analyze those that the recipe says to.

    `directory` is new or empty, or holds a sweep of which every run that was begun is a run of this recipe too, under
    its name and with its config: the same recipe, or one with more seeds, variants or values, or other measures.

    Finished runs are reused, interrupted ones go on, so that the same call again does what is left. A run that
    fails (a diverging loss, a damaged file in its folder) is an outcome, and so is one whose worker dies more than
    `retries` times; the others go on. After its second loss a run is tried by itself, so that the one that
    kills its worker takes no other with it.

    Args:
        recipe: From `read_recipe`, or a mapping of its fields.
        directory: The sweep's folder.
        executor: What `starter` gives (local processes if None), or any `concurrent.futures.Executor`, which
            stays the caller's.
        retries: As said.
        replicas: Runs that differ in seed, learning rate and decay alone are trained so many at a time in one call;
            faster on a GPU, and on a CPU for tiny networks alone (`gi.train_replicas` says by how much).
        show_progress: None shows a live view on a terminal.

    Raises:
        GrokinterpError: a recipe that does not validate, or a folder that is something else or in use; before
            anything is written.
        KeyboardInterrupt: asked to stop; runs in work are left where they go on from.
    """
    recipe = recipe if isinstance(recipe, Recipe) else recipe_from(recipe)
    configs = recipe.configs()
    recipe.check_measures()  # an unknown one is refused now, and not after each run was trained
    if retries < 0:
        raise GrokinterpError(f"retries = {retries} must be at least 0")
    place = SweepDir(directory)
    jobs = build_jobs(configs, place, recipe.analyze, replicas)
    place.check(configs)
    with locked(place.lock_path, str(place.root)), SweepView(configs, place, show=show_progress) as view:
        place.check(configs)  # another sweep may have begun here since, before the lock
        place.write_recipe(recipe)
        state = _Sweep(jobs, place, retries)
        start = (lambda _: nullcontext(executor)) if isinstance(executor, Executor) else executor or starter("local")
        state.run(start, view)
        write_json(place.outcomes_path, {name: vars(outcome) for name, outcome in state.done.outcomes.items()})
    return state.done


class _Sweep:
    """The state of one call of `sweep`: the jobs that are left, by their first run, and how often each was lost."""

    def __init__(self, jobs: Iterable[Job], place: SweepDir, retries: int) -> None:
        self.waiting = {job.names[0]: job for job in jobs}
        self.place, self.retries = place, retries
        self.done = SweepOutcome()

    def run(self, start: Start, view: SweepView) -> None:
        """All jobs side by side; then by itself each whose worker was lost twice."""
        while together := [key for key, job in self.waiting.items() if job.attempt < ALONE_FROM]:
            self._round(start, together, view, None)
        for key in list(self.waiting):
            while key in self.waiting:
                self._round(start, [key], view, 1)
        self.done.outcomes = {name: self.done.outcomes[name] for name in view.names}

    def _round(self, start: Start, keys: list[str], view: SweepView, workers: int | None) -> None:
        """Submit these jobs to one executor, and take what comes back until it is through or broken."""
        lost: list[str] = []
        with start(workers) as executor:
            futures = {_submit(executor, self.waiting[key]): key for key in keys}
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                lost += [futures[future] for future in finished if not self._take(futures[future], future)]
                view.show(self.done.outcomes)
        self._count_losses(lost)

    def _take(self, key: str, future: Future[list[Outcome]]) -> bool:
        """Put outcomes away; False if there are none, because a worker died or the executor gave the job up."""
        try:
            found = future.result()
        except (Exception, CancelledError):
            return False
        self.done.outcomes |= {outcome.name: outcome for outcome in found}
        del self.waiting[key]
        return True

    def _count_losses(self, lost: Sequence[str]) -> None:
        """A dead worker breaks a whole pool; only the jobs that had begun are suspects."""
        begun = [key for key in lost if self.place.has_begun(self.waiting[key])]
        for key in begun or lost:
            job = self.waiting.pop(key)
            if job.attempt <= self.retries:
                self.waiting[key] = replace(job, attempt=job.attempt + 1)
                continue
            why = f"its worker was lost {job.attempt} times; see {job.log}"
            self.done.outcomes |= {name: Outcome(name, "failed", why) for name in job.names}


def _submit(executor: Executor, job: Job) -> Future[list[Outcome]]:
    try:
        return executor.submit(carry_out, job)
    except BrokenExecutor as error:  # broken while we were still handing out work
        future: Future[list[Outcome]] = Future()
        future.set_exception(error)
        return future
