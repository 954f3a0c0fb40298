"""What `show --json` and `list --json` print, as dictionaries; their keys stay from version to version."""

from typing import Any

from grokinterp.figures import saved_keys, skipped
from grokinterp.measures.measure import Column, Measure
from grokinterp.measures.registry import builtin_measures
from grokinterp.reports import story
from grokinterp.run import Run
from grokinterp.summary import landmark_table


def run_document(run: Run) -> dict[str, Any]:
    """What happened in a run.

    Returns:
        path, name, operation, story, end (step and reason of an early end, or null), checkpoints (their steps),
        metrics (the last row), phases (as in phases.json), key_frequencies (null before an analysis, and where there
        are none), landmarks (values by name of the checkpoint), leads (a row a curve), skipped (why, by measure),
        figures (their paths).

    Raises:
        GrokinterpError: a file of the run is damaged.
    """
    phases = run.phases
    return {
        "path": str(run.path),
        "name": run.config.name,
        "operation": run.config.task.operation,
        "story": story(run),
        "end": run.rundir.read_end(),
        "checkpoints": run.steps,
        "metrics": phases.rows[-1] if phases.rows else None,
        "phases": phases.to_json(),
        "key_frequencies": list(saved_keys(run)) or None,
        "landmarks": landmark_table(run, phases),
        "leads": _leads(run),
        "skipped": skipped(run),
        "figures": _figures(run),
    }


def measures_document() -> dict[str, Any]:
    """The measures of the package.

    Returns:
        measures: a list of name, summary, reference, on_request and tables; of each table its name, the checkpoints
        that it has by default (all, landmarks, events, last; null for a table of the whole run) and its columns.
    """
    return {"measures": [_measure(measure) for measure in builtin_measures().values()]}


def _measure(measure: Measure) -> dict[str, Any]:
    parts = zip(measure.table_names(), measure.parts.values(), strict=True)
    return {
        "name": measure.name,
        "summary": measure.summary,
        "reference": measure.reference,
        "on_request": measure.on_request,
        "tables": [
            {
                "name": name,
                "checkpoints": None if part.scope == "run" else part.steps,
                "columns": [_column(column, about) for column, about in part.all_columns.items()],
            }
            for name, part in parts
        ],
    }


def _column(name: str, about: Column) -> dict[str, Any]:
    return {
        "name": name,
        "meaning": about.meaning,
        "unit": about.unit,
        "kind": about.kind,
        "low": about.low,
        "high": about.high,
        "null": about.null,
    }


def _leads(run: Run) -> list[dict[str, Any]]:
    """A row a curve, as phases.json has it; steps are whole numbers, and null where a curve did not move."""
    leads = run.leads.convert_dtypes()
    return leads.astype(object).where(leads.notna(), None).to_dict("records")


def _figures(run: Run) -> list[str]:
    folder = run.rundir.figures
    if not folder.is_dir():
        return []
    return [str(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
