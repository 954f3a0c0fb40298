"""What happened in a run, in sentences made from its tables."""

from typing import Any

from grokinterp.figures import saved_keys
from grokinterp.run import Run

FIRST = 3
"""So many of the curves that moved first are named."""


def story(run: Run) -> str:
    """What happened, in two or three sentences made from the events."""
    end = run.rundir.read_end()
    return _events(run) + (f" Training ended at step {end['step']}: {end['reason']}." if end else "")


def headline(run: Run) -> list[str]:
    """The story, the key frequencies or irreps, and what moved first; what was not computed is left out."""
    return [sentence for sentence in (story(run), _keys(run), _first_moves(run)) if sentence]


def _events(run: Run) -> str:
    phases, last = run.phases, run.phases.last_step
    if not phases.follows_accuracy:
        known = sum(row.get("test_accuracy") is not None for row in phases.rows)
        small = phases.step("small_test_loss")
        fell = "" if small is None else f" Test loss fell below 0.01 at step {small}."
        return f"Test accuracy is known at {known} steps, too few to say when it rose.{fell}"
    if phases.memorization_step is None:
        first = f"Train accuracy did not reach 99 % within {last} steps."
    else:
        first = f"Train accuracy reached 99 % at step {phases.memorization_step}."
    if phases.generalization_step is None:
        return f"{first} Test accuracy did not within {last} steps (censored)."
    delay = phases.grokking_delay
    return f"{first} Test accuracy followed at step {phases.generalization_step}" + (
        f", {delay} steps later." if delay is not None else "."
    )


def _keys(run: Run) -> str:
    """The key frequencies of the last checkpoint, else the key irreps."""
    keys = saved_keys(run)
    if keys:
        of = "frequency is" if len(keys) == 1 else "frequencies are"
        return f"At the last checkpoint the key {of} k = {_listed([str(k) for k in keys])} (W_L rule)."
    table = run.table_or_none("group_representations")
    if table is None or not {"step", "irrep", "is_key"} <= set(table.columns) or not len(table):
        return ""
    last = table[(table["step"] == table["step"].max()) & table["is_key"].astype(bool)]
    names = [str(name) for name in last["irrep"]]
    return f"At the last checkpoint the key irreps are {_listed(names)}." if names else ""


def _first_moves(run: Run) -> str:
    """Which of the measures' curves moved first, between which checkpoints."""
    leads = run.leads
    moved = leads[leads["step"].notna()].sort_values("until", kind="stable").to_dict("records")
    moved = [row for row in moved if row["where"].get("keys") != "random"]  # a control
    if not moved:
        return ""
    named = [f"{row['label']} {_when(row)}" for row in moved[:FIRST]]
    half = run.phases.step("half_accuracy")
    against = f"; test accuracy passed one half at step {half}" if half is not None else ""
    if len(moved) == 1:
        return f"One curve moved: {named[0]}{against}."
    return f"Of {len(moved)} curves that moved, these came first: {_listed(named)}{against}."


def _when(row: dict[Any, Any]) -> str:
    after, until = int(row["after"]), int(row["until"])
    return f"at step {until}" if after == until else f"in steps {after} to {until}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
