"""Measures x checkpoints -> tables: streaming, cached, resumable; one failure loses nothing else.

For each checkpoint one snapshot is made and every measure that wants it takes its rows; nothing of it
stays in memory. A table's JSON says from which checkpoint bytes, code, parameters and key frequencies
its rows came; rows whose sources are unchanged are kept, the others computed again.
"""

import threading
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from grokinterp.analysis.outcome import Outcome
from grokinterp.analysis.plan import Work, settings_of, subsets
from grokinterp.analysis.workers import default_jobs, in_order, without_subnormals
from grokinterp.device import free_bytes, resolve_device
from grokinterp.errors import GrokinterpError, NotApplicableError
from grokinterp.estimates import analysis_estimate
from grokinterp.leads import find_leads
from grokinterp.measures.measure import Measure
from grokinterp.measures.registry import builtin_measures, select
from grokinterp.memory import check, fits
from grokinterp.progress import progress_bar
from grokinterp.run import Run
from grokinterp.runs.files import locked, remove_abandoned, write_json
from grokinterp.runs.metrics import lost_end, read_metrics
from grokinterp.snapshots import Snapshot
from grokinterp.sources import Sources, checkpoint_digests
from grokinterp.summary import summarize
from grokinterp.tables import Row, check_rows, read_rows, write_table

FLUSH_EVERY = 25
"""Checkpoints between writes of the tables, so that a kill loses little."""


def analyze(
    run: Run,
    measures: Iterable[str | Measure] | None = None,
    *,
    every: int = 1,
    full: bool = False,
    force: bool = False,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = "cpu",
    jobs: int | None = None,
    show_progress: bool | None = None,
) -> Outcome:
    """Compute the tables of a run.

    Args:
        run: From `open_run`; its `out` says where tables go.
        measures: Names or Measure objects; None for all of the package.
        every: Take each `every`-th checkpoint, and the last.
        full: Also run the costly measures on every checkpoint, not on their stated subset.
        force: Compute again what is there.
        params: Overrides of measures' parameters, by measure.
        device: auto, cpu, cuda or cuda:N.
        jobs: Checkpoints at a time, each on one core; None: as many as there are cores.
        show_progress: None shows a bar on a terminal.

    Raises:
        GrokinterpError: no checkpoints, unknown measures or parameters, or a folder that cannot be
            written.
    """
    chosen = select(measures)
    settings = settings_of(chosen, params or {})
    if every < 1:
        raise GrokinterpError(f"every = {every} must be at least 1")
    if jobs is not None and jobs < 1:
        raise GrokinterpError(f"jobs = {jobs} must be at least 1")
    if not run.steps:
        raise GrokinterpError(f"{run.path} has no checkpoints in ckpts/; train it first")
    # damaged, they fail here and once, not at each checkpoint
    _ = run.task, run.train_mask, run.rundir.read_checksums(), run.metrics
    _refuse_a_lost_log(run)
    device = str(resolve_device(device))
    n_jobs = _jobs_that_fit(run, jobs, device, whole=measures is None)
    # numpy's own threads would wait in a loop for work, on the cores that torch's threads need
    one_blas_thread = threadpool_limits(limits=1, user_api="blas")
    lock = locked(run.rundir.analysis_lock_path, f"{run.rundir.measures}")
    with _writable(), one_blas_thread, without_subnormals(), lock:
        remove_abandoned(run.rundir.analysis_leftovers())
        analysis = _Analysis(run, chosen, settings, device)
        analysis.plan(sorted({*run.steps[::every], run.steps[-1]}), full=full, force=force)
        analysis.over_checkpoints(n_jobs, show_progress)
        analysis.over_run()
        phases = run.phases
        leads = find_leads(run, phases, {**builtin_measures(), **chosen}.values())
        write_json(run.rundir.phases_path, phases.to_json() | {"leads": leads})
        write_json(run.rundir.summary_path, summarize(run, phases))
    return analysis.outcome


def _refuse_a_lost_log(run: Run) -> None:
    """Events are read from the log: without its end, those of a finished run would be replaced by wrong ones."""
    path, rundir = run.rundir.metrics_path, run.rundir
    if rundir.is_trained:
        settings = run.config.train
        planned = [step for step in run.steps if step <= settings.steps]  # later ones were put there by hand
        short = lost_end(path, read_metrics(path), planned, settings.eval_every)
        if short is not None:
            raise GrokinterpError(f"{short}; {rundir.copy_of(path.name)}")


def _jobs_that_fit(run: Run, jobs: int | None, device: str, *, whole: bool) -> int:
    """The jobs asked for, or as many as there is memory for.

    Raises:
        GrokinterpError: there is not enough for the jobs asked for, or for a single one.
    """
    n, free = jobs or default_jobs(run.task.table.size * run.task.n_answers, device), free_bytes(resolve_device(device))
    while jobs is None and n > 1 and free is not None and not fits(analysis_estimate(run.config, n, whole=whole), free):
        n -= 1
    check(analysis_estimate(run.config, n, whole=whole), free)
    return n


class _Analysis:
    """The state of one call of `analyze`."""

    def __init__(self, run: Run, chosen: Mapping[str, Measure], settings: Mapping[str, dict], device: str) -> None:
        self.run, self.chosen, self.settings, self.device = run, chosen, settings, device
        self.outcome = Outcome()
        self.digests = checkpoint_digests(run.rundir)
        self.keys, self.irreps = run.key_frequencies, run.key_irreps
        self.sources = Sources(run.rundir, settings, self.keys, self.irreps)
        self.lent = threading.local()
        self.may_lend = all(builtin_measures().get(name) is measure for name, measure in chosen.items())
        self.snapshot_work: list[Work] = []
        self.run_work: list[Work] = []
        self.selected: list[int] = []
        self.read: set[int] = set()

    def plan(self, selected: Sequence[int], *, full: bool, force: bool) -> None:
        """Decide which rows to keep and which to compute."""
        self.selected = list(selected)
        by_name = subsets(self.run.phases, self.selected)
        for name, measure in self.chosen.items():
            known = self.sources.checkpoints(measure)
            for part_name, part in measure.parts.items():
                wanted = set(by_name["all" if full else part.steps])
                work = Work(measure, part_name, part, self.settings[name], {}, wanted)
                self._plan_part(work, known.get(part_name, {}), force=force)
            self.outcome.computed[name] = 0

    def _plan_part(self, work: Work, old: Mapping[str, str], *, force: bool) -> None:
        """Keep the rows whose checkpoint is unchanged or gone; set aside those whose file differs."""
        name = work.measure.name
        saved = read_rows(self.run.rundir, name, work.name) if old else None
        if work.part.scope == "run":
            if not force and saved is not None and old == {str(s): self.digests[s] for s in self.selected}:
                self.outcome.reused[name] = self.outcome.reused.get(name, 0) + len(self.selected)
            else:
                self.run_work.append(work)
            return
        fits = saved is not None and all(row.keys() == work.part.all_columns.keys() for row in saved)
        kept = work.keep(saved or [], old, self.digests) if fits else set()
        if force:
            kept = set()
        self.outcome.reused[name] = self.outcome.reused.get(name, 0) + len(kept & work.todo)
        work.todo -= kept
        self.snapshot_work.append(work)

    def over_checkpoints(self, jobs: int, show_progress: bool | None) -> None:
        """One snapshot a checkpoint; each measure that wants it takes its rows."""
        wanted = Counter(step for work in self.snapshot_work for step in work.todo)
        todo = sorted(wanted, key=lambda step: (-wanted[step], step))  # the longest first: no core waits for one
        results = in_order(self._compute_at, todo, max(1, min(jobs, len(todo))))
        try:
            with progress_bar("analyzing", len(todo), show=show_progress) as report, closing(results):
                for done, (step, found) in enumerate(results, start=1):
                    self._take(step, found)
                    report(done, f"step {step}")
                    if done % FLUSH_EVERY == 0:
                        self._flush()
        finally:
            self._flush()

    def _compute_at(self, step: int) -> "GrokinterpError | dict[int, list[Row] | Exception]":
        """Rows, or what went wrong, by index of the work; or why the checkpoint cannot be read.

        Runs beside others of its kind: it changes nothing.
        """
        try:
            snapshot = self._lend(self.run.bare_snapshot(step, device=self.device).with_keys(self.keys, self.irreps))
        except GrokinterpError as error:
            return error
        found: dict[int, list[Row] | Exception] = {}
        given_up = {*self.outcome.failed, *self.outcome.skipped}
        for index, work in enumerate(self.snapshot_work):
            if step not in work.todo or work.measure.name in given_up:
                continue
            try:
                rows = [{"step": step, **row} for row in work.part.compute(snapshot, params=work.params)]
                check_rows(rows, work.part.all_columns)
                found[index] = rows
            except (Exception, SystemExit) as error:
                found[index] = error if isinstance(error, Exception) else RuntimeError(f"it called exit({error})")
                given_up.add(work.measure.name)
        return found

    def _lend(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with this thread's buffers; not where a measure of somebody else might keep what is in them."""
        if not self.may_lend:
            return snapshot
        if not hasattr(self.lent, "on_grid"):
            self.lent.on_grid = snapshot.pairs_of_grid()
        return replace(snapshot, on_grid=self.lent.on_grid)

    def _take(self, step: int, found: "GrokinterpError | dict[int, list[Row] | Exception]") -> None:
        """Put away what was computed at a checkpoint."""
        if isinstance(found, GrokinterpError):
            self.outcome.damaged.append(str(found))
            for work in self.snapshot_work:  # rows from when it was sound are better than none
                if step in work.changed:
                    work.rows[step] = work.changed[step]
            return
        self.read.add(step)
        for index, rows in found.items():
            work = self.snapshot_work[index]
            if isinstance(rows, Exception):
                self._give_up(work.measure, rows)
            elif work.measure.name not in self.outcome.failed and work.measure.name not in self.outcome.skipped:
                work.take(step, rows, self.digests[step])
                self.outcome.computed[work.measure.name] += 1

    def over_run(self) -> None:
        """The parts that need the whole series."""
        for work in self.run_work:
            name, columns = work.measure.name, work.part.all_columns
            if name in self.outcome.failed or name in self.outcome.skipped:
                continue
            try:
                rows = work.part.compute(self.run, steps=self._readable(), params=work.params)
                check_rows(rows, columns)
            except (Exception, SystemExit) as error:
                self._give_up(work.measure, error if isinstance(error, Exception) else RuntimeError(str(error)))
                continue
            write_table(self.run.rundir, work.measure.name, work.name, columns, rows)
            self.outcome.computed[work.measure.name] += len(self.selected)
            done = {str(step): self.digests[step] for step in self.selected}
            self.sources.write(work.measure, {work.name: done})

    def _readable(self) -> list[int]:
        """The selected checkpoints that can be read; those not read in this call yet are tried."""
        for step in set(self.selected) - self.read:
            try:
                self.run.weights(step)
                self.read.add(step)
            except GrokinterpError as error:
                if str(error) not in self.outcome.damaged:
                    self.outcome.damaged.append(str(error))
        return [step for step in self.selected if step in self.read]

    def _give_up(self, measure: Measure, error: Exception) -> None:
        """Note why a measure has no meaning or failed; the others go on."""
        if isinstance(error, NotApplicableError):
            if measure.name not in self.outcome.skipped:
                self.outcome.skipped[measure.name] = str(error)
                self.sources.write(measure, {}, skipped=str(error))
        else:
            self.outcome.failed[measure.name] = f"{type(error).__name__}: {error}"

    def _flush(self) -> None:
        """Write what was computed since the last flush, tables first, then what they came from."""
        for work in self.snapshot_work:
            name = work.measure.name
            if not work.dirty or name in self.outcome.skipped:
                continue
            rows = [row for step in sorted(work.rows) for row in work.rows[step]]
            write_table(self.run.rundir, name, work.name, work.part.all_columns, rows)
            done = {str(step): work.digests[step] for step in sorted(work.rows)}
            self.sources.write(work.measure, {work.name: done})
            work.dirty = False


@contextmanager
def _writable() -> Generator[None]:
    """Say where else to write if the run directory cannot be written."""
    try:
        yield
    except PermissionError as error:
        raise GrokinterpError(f"cannot write {error.filename}; choose another place with --out") from None
