"""summary.json: the row that tables over many runs gather, and the demo's table of landmarks."""

import json
from typing import TYPE_CHECKING, Any

from grokinterp.errors import GrokinterpError
from grokinterp.phases import Phases
from grokinterp.runs.files import require_file

if TYPE_CHECKING:
    import pandas as pd

    from grokinterp.run import Run
    from grokinterp.runs.rundir import RunDir

ALWAYS = {"name": str, "task.operation": str, "censored": bool, "last_step": int}
"""Some fields that every summary has, whichever grokinterp wrote it."""

LANDMARK_COLUMNS: dict[str, tuple[str, dict[str, Any], str]] = {
    "test_accuracy": ("accuracy_loss", {"split": "test"}, "accuracy"),
    "full_loss": ("progress_measures", {"split": "all", "keys": "last"}, "full_loss"),
    "restricted_loss": ("progress_measures", {"split": "all", "keys": "last"}, "restricted_loss"),
    "excluded_loss": ("progress_measures", {"split": "train", "keys": "last"}, "excluded_loss"),
    "gini_W_L": ("embedding_spectrum", {"matrix": "W_L"}, "gini"),
    "weight_norm": ("weight_norm", {"group": "total"}, "sum_of_squares"),
    "noise_loss_increase": ("flatness", {"noise": "weight-proportional", "sigma": 0.1}, "loss_increase"),
    "keskar_phi": ("flatness.keskar", {}, "phi"),
}
"""Column: table, which row of a step, which column of it."""


def summarize(run: "Run", phases: Phases) -> dict[str, Any]:
    """One flat row: config, events, and the landmark values of the main measures.

    Values that were not computed or have no meaning are null.
    """
    config = run.config.model_dump(mode="json")
    row: dict[str, Any] = {"name": config.pop("name"), "path": run.path.name}
    for section, fields in config.items():
        if isinstance(fields, dict):
            row |= {f"{section}.{field}": value for field, value in fields.items()}
    descent = phases.double_descent
    row |= {
        "memorization_step": phases.memorization_step,
        "generalization_step": phases.generalization_step,
        "generalization_95_step": phases.step("generalization_95"),
        "small_test_loss_step": phases.step("small_test_loss"),
        "change_point_step": phases.change_point.step if phases.change_point else None,
        "grokking_delay": phases.grokking_delay,
        "censored": phases.censored,
        "last_step": phases.last_step,
        "double_descent_peak_step": descent.peak_step if descent else None,
        "double_descent_height": descent.height if descent else None,
        "n_train_loss_spikes": len(phases.spike_steps),
        "key_frequencies": list(run.key_frequencies.ks) if run.key_frequencies else None,
    }
    for mark, values in landmark_table(run, phases).items():
        row |= {f"{mark}.{name}": value for name, value in values.items()}
    return row


def read_summary(rundir: "RunDir") -> dict[str, Any]:
    """What `summarize` gave, from summary.json.

    Raises:
        GrokinterpError: damaged, or no summary.
    """
    path = rundir.summary_path
    require_file(path)
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, FileNotFoundError):
        row = None
    if not isinstance(row, dict) or not all(type(row.get(name)) is kind for name, kind in ALWAYS.items()):
        raise GrokinterpError(f"{path} is damaged; `grokinterp analyze {rundir.root}` writes it anew")
    return row


def landmark_table(run: "Run", phases: Phases) -> dict[str, dict[str, Any]]:
    """For init, memorised, grokked and end: the step and LANDMARK_COLUMNS there, null where absent."""
    tables = {name: run.table_or_none(name) for name, _, _ in LANDMARK_COLUMNS.values()}
    result = {}
    for mark, step in phases.landmarks(run.steps).items():
        cells: dict[str, Any] = {"step": step}
        for column, (name, where, value) in LANDMARK_COLUMNS.items():
            cells[column] = _cell(tables[name], {"step": step, **where}, value)
        result[mark] = cells
    return result


def _cell(table: "pd.DataFrame | None", where: dict[str, Any], value: str) -> float | None:
    if table is None or not {*where, value} <= set(table.columns):
        return None
    for column, wanted in where.items():
        table = table[table[column] == wanted]
    if len(table) != 1 or table[value].isna().iloc[0]:
        return None
    return float(table[value].iloc[0])
