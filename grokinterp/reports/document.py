"""Everything that the page shows of a run, as one JSON object."""

import shlex
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.figures import has_tables, saved_keys, skipped
from grokinterp.measures.registry import builtin_measures
from grokinterp.reports.colors import palette
from grokinterp.reports.maps import film
from grokinterp.reports.views import collect_views
from grokinterp.run import Run
from grokinterp.summary import landmark_table


def document(run: Run, *, show_progress: bool | None = None) -> dict[str, Any]:
    """Name, events, views with their numbers, what is missing and why, and where all of it came from.

    Raises:
        GrokinterpError: a damaged table.
    """
    phases = run.phases
    found = film(run, show_progress=show_progress)
    views, missing = collect_views(run, found)
    steps = run.steps or sorted({step for view in views for step in view.get("steps", [])})
    coordinates = run.task.coordinates
    return {
        "name": run.config.name,
        "operation": _operation(run),
        "steps": steps or [phases.last_step],
        "lastStep": max([phases.last_step, *steps]),
        "landmarks": phases.landmarks(steps),
        "events": {name: phases.step(name) for name in ("memorization", "half_accuracy", "generalization")},
        "phases": [{"name": phase.name, "start": phase.start, "end": phase.end} for phase in phases.phases],
        "keys": list(saved_keys(run)),
        "n": None if coordinates is None else coordinates.n,
        "palette": palette(),
        "views": views,
        "missing": missing,
        "notes": found.notes,
        "table": _landmark_cells(landmark_table(run, phases)),
        "measures": _measures(run),
        "facts": _facts(run),
        "config": run.config.to_toml(),
    }


def _operation(run: Run) -> str:
    """What was learned by what, in one line."""
    config, task = run.config, run.task
    n_train = None if run.train_mask is None else int(run.train_mask.sum())
    pairs = int(task.defined.sum())
    shown = f"{n_train} of {pairs} pairs trained on" if n_train is not None else f"{pairs} pairs, split unknown"
    return f"{task.name}, {config.model.kind}, {shown}"


def _landmark_cells(marks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The landmark table as a head and rows."""
    columns = list(next(iter(marks.values()), {}))
    return {"head": list(marks), "rows": [[name, *(cells[name] for cells in marks.values())] for name in columns]}


def _measures(run: Run) -> list[dict[str, Any]]:
    """Each measure with its tables' declared columns, and why it was skipped."""
    reasons, rows = skipped(run), []
    for name, measure in builtin_measures().items():
        state = reasons.get(name)
        if state is None and not has_tables(run, measure):
            state = "on request only" if measure.on_request else "not computed"
        tables = [
            {
                "name": table,
                "columns": [
                    {"name": column, "meaning": about.meaning, "unit": about.unit}
                    for column, about in part.columns.items()
                ],
            }
            for table, part in zip(measure.table_names(), measure.parts.values(), strict=True)
        ]
        rows.append(
            {
                "name": name,
                "summary": measure.summary,
                "reference": measure.reference,
                "absent": state,
                "tables": [] if state else tables,
            }
        )
    return rows


def _facts(run: Run) -> list[list[str]]:
    """Where the run came from, as names and values; no time of today, so that a page is the run's alone."""
    known, task = _provenance(run), run.config.task
    command = known.get("command")
    facts = [
        ["this page", f"grokinterp report {shlex.quote(run.path.resolve().name)}"],
        ["trained by", shlex.join(map(str, command)) if isinstance(command, list) else "unknown"],
        ["split seed", str(task.split_seed)],
        ["initialisation seed", str(run.config.model.init_seed)],
    ]
    versions = known.get("versions")
    if isinstance(versions, dict):
        facts.append(["versions", ", ".join(f"{name} {version}" for name, version in versions.items())])
    named = ("python", "platform", "device", "threads", "engine", "git_commit")
    facts += [[name.replace("_", " "), str(known[name])] for name in named if known.get(name) is not None]
    return facts


def _provenance(run: Run) -> dict[str, Any]:
    """provenance.json; empty where there is none, or a damaged one, which `verify` names."""
    try:
        return run.rundir.read_provenance()
    except GrokinterpError:
        return {}
