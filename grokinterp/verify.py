"""`grokinterp verify`: does a run directory agree with itself?

Checkpoints are compared with their checksums, losses and accuracies are computed again from them and compared with
the log, the task and the split are drawn again from the config, and tables and phases are compared with what they
were made from.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grokinterp.completeness import gone, log_problems, unwritten
from grokinterp.errors import GrokinterpError
from grokinterp.leads import find_leads
from grokinterp.measures.registry import builtin_measures
from grokinterp.recompute import Recomputation, sound_weights
from grokinterp.run import Run
from grokinterp.runs.files import read_json, sha256
from grokinterp.runs.finished import is_finished
from grokinterp.runs.metrics import dropped_line, read_metrics
from grokinterp.sources import code_digest, description
from grokinterp.summary import read_summary, summarize
from grokinterp.tasks import Task, build_task, draw_labels, draw_train_mask


@dataclass
class Check:
    """What was compared, in how many cases, and one sentence for each case that disagrees."""

    name: str
    said: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """For people."""
        verdict = "" if not self.problems else f"; {len(self.problems)} disagree"
        return f"{self.name}: {self.said}{verdict}"


def verify(run: Run) -> Iterator[Check]:
    """The checks of a run, one after the other; nothing in it is changed.

    Losses and accuracies are computed in float64, in nats, at every checkpoint whose step metrics.jsonl has. They may
    differ from the log's by what the dtype of training rounds, which `grokinterp.recompute` derives.

    **Known values:** an untouched run has no problems; one changed byte, number or line has one that names it.
    """
    checks: tuple[Callable[[Run, Check], None], ...] = (_origin, _checkpoints, _task, _split, _log, _losses)
    checks += (_tables, _phases, _summary)
    for check in checks:
        found = Check(check.__name__.strip("_"))
        try:
            check(run, found)
        except GrokinterpError as error:
            found.said = found.said or "not to be checked"
            found.problems.append(str(error))
        yield found


def _origin(run: Run, check: Check) -> None:
    """provenance.json is there and says what is needed to repeat the run."""
    about = run.rundir.read_provenance()
    needed = ("versions", "device_type", "threads", "engine")
    missing = [name for name in needed if name not in about]
    check.problems += [f"{run.rundir.provenance_path} has no {name}" for name in missing]
    if not missing:
        state = "finished" if is_finished(run.rundir, run.config) else "not finished"
        how = state if run.rundir.is_trained else "recorded or imported"
        check.said = f"{how}, engine {about['engine']}, {about['threads']} threads on {about['device_type']}"


def _checkpoints(run: Run, check: Check) -> None:
    """Each file has the bytes that were written, fits the config and holds numbers; what is lost is said."""
    checksums, steps = run.rundir.read_checksums(), run.steps
    lost, way_back = run.rundir.read_lost(), run.rundir.way_back()
    check.problems += [f"{run.rundir.checkpoint_path(step)} is gone; {way_back}" for step in gone(run)]
    if steps and not checksums:
        path = run.rundir.checksums_path
        check.problems.append(f"{path} is gone or empty; {run.rundir.copy_of(path.name)}")
    for step in steps:
        path = run.rundir.checkpoint_path(step)
        try:
            sound_weights(run, step)
        except GrokinterpError as error:
            check.problems.append(str(error))
            continue
        if checksums and path.name not in checksums:
            check.problems.append(f"{path} has no checksum in {run.rundir.checksums_path.name}")
    check.said = f"{len(steps)} files, {len(checksums)} checksums"
    if lost:
        check.said += f"; {len(lost)} recorded as lost: step {', '.join(map(str, lost))}"


def _task(run: Run, check: Check) -> None:
    """task.safetensors is the operation that the config says."""
    saved, drawn = run.task, build_task(run.config.task)
    check.said = f"{saved.name}, {saved.table.size} cells"
    if not np.array_equal(saved.table, drawn.table):
        n = "other" if saved.table.shape != drawn.table.shape else str(int((saved.table != drawn.table).sum()))
        check.problems.append(f"{run.rundir.task_path}: {n} cells are not those of the config's {drawn.name}")
    same = {"layout": lambda task: task.layout, "n_answers": lambda task: task.n_answers, "coordinates": _coordinates}
    for name, value in same.items():
        if value(saved) != value(drawn):
            check.problems.append(f"{run.rundir.task_path}: its {name} is not the config's")


def _coordinates(task: Task) -> Any:
    c = task.coordinates
    return None if c is None else [part.tolist() for part in (c.left, c.right, c.answer)]


def _split(run: Run, check: Check) -> None:
    """The training pairs and labels are those that the config draws."""
    mask = run.train_mask
    if mask is None:
        check.said = "unknown, so that nothing that needs it is checked"
        if run.rundir.is_trained:
            check.problems.append(f"{run.rundir.split_path} is missing; restore it from a copy")
        return
    check.said = f"{int(mask.sum())} of {int(run.task.defined.sum())} pairs are trained on"
    try:
        drawn = draw_train_mask(run.task, run.config.task.frac_train, run.config.task.split_seed)
        labels = draw_labels(run.task, drawn, run.config.task)
    except (ValueError, IndexError):
        drawn, labels = np.zeros(0, dtype=bool), None
    same = np.array_equal(mask, drawn)
    if not run.rundir.is_trained:
        check.said += ", as the config draws them" if same else ", its own, not drawn from the config"
        return
    if not same:
        check.problems.append(f"{run.rundir.split_path} is not the split that the config draws")
    saved = run.trained_labels
    if same and (saved is None) != (labels is None):
        check.problems.append(f"{run.rundir.split_path} and the config disagree on whether labels are changed")
    elif same and labels is not None and saved is not None and not np.array_equal(saved, labels):
        check.problems.append(f"{run.rundir.split_path} holds other labels than the config draws")


def _log(run: Run, check: Check) -> None:
    """metrics.jsonl has a line for each evaluation, in order, and no other; ckpts/ has every planned checkpoint."""
    path = run.rundir.metrics_path
    rows = read_metrics(path)
    check.said = f"{len(rows)} lines" + (f", to step {rows[-1]['step']}" if rows else "")
    check.problems += log_problems(run, rows)
    dropped = dropped_line(path)
    if dropped is not None and not dropped.endswith("\n"):
        check.said += ", and half a line of a process that was killed"
    missing, way_back = unwritten(run), run.rundir.way_back()
    check.problems += [f"{run.rundir.checkpoint_path(step)} is missing; {way_back}" for step in missing]


def _losses(run: Run, check: Check) -> None:
    """What the log says at each checkpoint is what its weights give."""
    rows = {row["step"]: row for row in read_metrics(run.rundir.metrics_path)}
    again, compared, largest = Recomputation(run), 0, 0.0
    for step in [step for step in run.steps if step in rows]:
        try:
            found = again.at(step)
        except GrokinterpError:
            continue  # named above
        for name, (value, tolerance) in found.items():
            logged = rows[step].get(name)
            if logged is None:
                continue
            difference = abs(float(logged) - value)
            compared, largest = compared + 1, max(largest, difference if "loss" in name else 0.0)
            if not difference <= tolerance:
                check.problems.append(
                    f"step {step}: {name} is {logged:.8g} in the log and {value:.8g} from the weights "
                    f"(they may differ by {tolerance:.1g})"
                )
    check.said = f"{compared} numbers at {sum(step in rows for step in run.steps)} checkpoints, in float64"
    check.said += f"; losses differ by at most {largest:.1g} nats" if compared else ""


def _tables(run: Run, check: Check) -> None:
    """Each table has the bytes that its JSON records, and its rows come from the checkpoints that are there."""
    files = sorted(run.rundir.measures.glob("*.json"))
    steps, n_tables = _digests(run), 0
    for path in files:
        try:
            info = read_json(path)
        except GrokinterpError:
            check.problems.append(f"{path} is damaged; analyze again")
            continue
        tables, sources = info.get("tables"), info.get("checkpoints")
        if not isinstance(tables, dict) or not isinstance(sources, dict):
            check.problems.append(f"{path} does not say what its tables came from; analyze again")
            continue
        measure = builtin_measures().get(path.stem)
        if (
            measure is not None
            and info.get("code") == code_digest(measure)
            and _other(description(measure), info, set())
        ):
            check.problems.append(f"{path} describes its columns otherwise than the measure; analyze again")
        for part, digest in tables.items():
            table, n_tables = run.rundir.table_path(path.stem, part), n_tables + 1
            if not table.is_file() or sha256(table) != digest:
                check.problems.append(f"{table} is not the table that {path.name} describes; analyze again")
        check.problems += _changed(path.name, sources, steps)
    check.said = f"{n_tables} tables of {len(files)} measures"


def _digests(run: Run) -> dict[int, str]:
    """What tables know checkpoints by; without those that do not match their checksum, which are named above."""
    checksums, found = run.rundir.read_checksums(), {}
    for path, step in ((run.rundir.checkpoint_path(step), step) for step in run.steps):
        digest = sha256(path)
        if checksums.get(path.name, digest) == digest:
            found[step] = digest[:16]
    return found


def _changed(name: str, sources: Mapping[str, Any], steps: Mapping[int, str]) -> list[str]:
    """Checkpoints that are other files now than when the tables were made."""
    used = {(int(s), digest) for part in sources.values() if isinstance(part, dict) for s, digest in part.items()}
    changed = sorted({step for step, digest in used if steps.get(step, digest) != digest})
    return [f"{name} has rows of another file at step {step}; analyze again" for step in changed]


def _phases(run: Run, check: Check) -> None:
    """phases.json says what the rules find in metrics.jsonl."""
    if not run.rundir.phases_path.exists():
        check.said = "not analyzed yet"
        return
    saved, now = read_json(run.rundir.phases_path), _as_json(run.phases.to_json())
    if _is_older(saved.get("last_step"), run, check):
        return
    check.said = f"{_of(saved, now)} fields, {len(run.leads)} leads"
    wrong = [*_other(saved, now, {"leads"}), *_other_leads(run)]
    check.problems += [f"{run.rundir.phases_path}: {name} is not what the run gives; analyze again" for name in wrong]


def _summary(run: Run, check: Check) -> None:
    """summary.json says what the config, the log and the tables give."""
    if not run.rundir.summary_path.exists():
        check.said = "not analyzed yet"
        return
    saved = read_summary(run.rundir)
    if _is_older(saved.get("last_step"), run, check):
        return
    now = _as_json(summarize(run, run.phases))
    del now["path"]  # the folder may be called otherwise by now
    check.said = f"{_of(saved, now)} fields"
    wrong = _other(saved, now, {"path"})
    check.problems += [f"{run.rundir.summary_path}: {name} is not what the run gives; analyze again" for name in wrong]


def _is_older(step: Any, run: Run, check: Check) -> bool:
    """Whether training has gone on since the analysis, which is no disagreement."""
    last = run.phases.last_step
    older = isinstance(step, int) and step < last
    if older:
        check.said = f"of step {step}, before the run went on to step {last}; analyze again"
    return older


def _other(saved: Mapping[str, Any], now: Mapping[str, Any], apart: set[str]) -> list[str]:
    """Names of the saved fields that the run does not give, or gives otherwise."""
    return [name for name in saved if name not in apart and (name not in now or saved[name] != now[name])]


def _other_leads(run: Run) -> list[str]:
    """Curves of the package's measures whose lead is not what their tables give."""
    measures = builtin_measures()
    now = _as_json(find_leads(run, run.phases, measures.values()))
    saved = [row for row in read_json(run.rundir.phases_path).get("leads", []) if row["measure"] in measures]
    odd = [row for row in saved if row not in now] + [row for row in now if row not in saved]
    return sorted({f"the lead of {row['measure']} ({row['label']})" for row in odd})


def _of(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How many of the fields are there; an older grokinterp wrote fewer."""
    n = sum(name in saved for name in now)
    return str(n) if n == len(now) else f"{n} of {len(now)} (an older grokinterp wrote it)"


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
