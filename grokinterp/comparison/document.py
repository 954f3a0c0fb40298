"""Everything that the page shows of a folder of runs, as one JSON object."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grokinterp.comparison.entries import Entry
from grokinterp.comparison.factors import (
    MOST_SETTINGS,
    Factor,
    find_factors,
    find_settings,
    followers,
    other_fields,
    shared_fields,
)
from grokinterp.comparison.survival import QUANTITIES, survival
from grokinterp.errors import GrokinterpError
from grokinterp.reports.arrays import exact
from grokinterp.reports.colors import palette
from grokinterp.runs.files import read_json
from grokinterp.runs.rundir import RunDir
from grokinterp.sweeps.sweepdir import SweepDir


def document(root: Path, target: Path, entries: Sequence[Entry]) -> dict[str, Any]:
    """Runs, factors, settings, curves, medians, and where all of it came from.

    Args:
        root: The folder.
        target: Where the page goes; links are relative to its folder.
        entries: Its runs.
    """
    name, factors = root.resolve().name, find_factors(entries)
    settings = find_settings(factors, len(entries))
    several = sum(not factor.is_seed for factor in factors) > 1
    choices = [*factors, settings] if several and len(settings.values) <= MOST_SETTINGS else factors
    return {
        "name": name,
        "runs": [_run(entry, i, name, target, choices, settings) for i, entry in enumerate(entries)],
        "factors": [_factor(factor) for factor in choices],
        "settings": list(settings.values),
        "quantities": {quantity: label for quantity, (label, _, _) in QUANTITIES.items()},
        "survival": {"all": survival(entries, None), "factors": [survival(entries, factor) for factor in choices]},
        "ranges": _ranges(entries),
        "notes": _notes(entries),
        "troubles": [[e.name, e.state, e.why] for e in entries if not e.is_as_planned],
        "facts": _facts(name, entries),
        "shared": "\n".join(f"{field} = {value}" for field, value in shared_fields(entries).items()),
        "recipe": _recipe(root),
        "palette": palette(),
    }


def _run(
    entry: Entry, place: int, folder: str, target: Path, factors: Sequence[Factor], settings: Factor
) -> dict[str, Any]:
    """A run's row and its curves."""
    page, phases = RunDir(entry.path).report_path, entry.phases
    relative = os.path.relpath(page.absolute(), target.parent.absolute())
    is_known = phases is not None and entry.is_known
    return {
        "name": entry.name,
        "state": entry.state,
        "why": entry.why,
        # quoted, so that no name of a folder can be read as a scheme, a query or a fragment
        "page": f"./{quote(Path(relative).as_posix())}" if page.is_file() else None,
        "command": f"grokinterp report {shlex.quote(f'{folder}/{entry.name}')}" if entry.fields else None,
        "setting": settings.levels[place],
        "levels": [factor.levels[place] for factor in factors],
        "known": is_known,
        "memorization": phases.memorization_step if phases and is_known else None,
        "generalization": phases.generalization_step if phases and is_known else None,
        "delay": phases.grokking_delay if phases and is_known else None,
        "lastStep": phases.last_step if phases else None,
        "testAccuracy": entry.last.get("test_accuracy"),
        "testLoss": entry.last.get("test_loss"),
        "trainLoss": entry.last.get("train_loss"),
        "weightNorm": entry.last.get("weight_norm"),
        "keys": entry.keys,
        "curves": {name: exact(_numbers(values)) for name, values in entry.curves.items()},
    }


def _numbers(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _factor(factor: Factor) -> dict[str, Any]:
    return {
        "label": factor.label,
        "values": list(factor.values),
        "seed": factor.is_seed,
        "number": factor.is_number,
        "whole": not factor.fields,
    }


def _ranges(entries: Sequence[Entry]) -> dict[str, list[float]]:
    """From the smallest positive to the largest value over all runs, for axes that all panels share."""
    found = {}
    for quantity in ("step", "loss"):
        columns = (v for entry in entries for name, v in entry.curves.items() if name.endswith(quantity))
        positive = [value for values in columns for value in values if value is not None and value > 0]
        found[quantity] = [min(positive, default=1), max(positive, default=1)]
    return found


def _notes(entries: Sequence[Entry]) -> list[str]:
    """How the figures are made."""
    notes = [
        "A run memorised, or grokked, at the first of five evaluations in a row with a train, or test, accuracy of at "
        "least 0.99. A run that ended before is censored: it is drawn at its last step, open, and counts in medians "
        "and survival curves (Kaplan-Meier) as a run that was watched until then. Intervals are of 95 %.",
    ]
    drawn = [(len(entry.curves.get("step", [])), entry.n_evaluations) for entry in entries]
    thin = [points for points, of in drawn if 0 < points < of]
    if thin:
        notes.append(
            f"Of {len(thin)} of {len(entries)} runs not every evaluation is drawn, but at most {max(thin)} of a run: "
            "the first, the last, those of its events, and others evenly spaced on a logarithmic axis of steps. A "
            "spike between two of them is not seen here; events and last values are from all evaluations."
        )
    unknown = sum(not entry.is_known for entry in entries)
    if unknown:
        notes.append(f"Accuracy of {unknown} of {len(entries)} runs is known too rarely to say when it rose.")
    fields = other_fields(entries)
    if fields:
        notes.append(f"The runs also differ in {', '.join(fields)}, which decide nothing of what is learned.")
    following = followers(entries)
    if following:
        notes.append(f"{'; '.join(following.values())}: no factor of its own.")
    return notes


def _facts(name: str, entries: Sequence[Entry]) -> list[list[str]]:
    """Where the page came from, as names and values; no time of today, so that a page is the folder's alone."""
    states = Counter(entry.state for entry in entries)
    facts = [
        ["this page", f"grokinterp report {shlex.quote(name)}"],
        ["the table as a file", f"grokinterp results {shlex.quote(name)} --csv results.csv"],
        ["runs", ", ".join(f"{n} {state}" for state, n in sorted(states.items()))],
    ]
    for what in ("versions", "device", "platform", "git_commit"):
        values = sorted({_provenance_text(entry, what) for entry in entries} - {""})
        if values:
            facts.append([what.replace("_", " "), "; ".join(values)])
    return facts


def _provenance_text(entry: Entry, what: str) -> str:
    """A field of provenance.json; empty where there is none, or a damaged one, which `verify` names."""
    try:
        value = RunDir(entry.path).read_provenance().get(what)
    except GrokinterpError:
        return ""
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value or "")


def _recipe(root: Path) -> str | None:
    """The recipe of a sweep."""
    path = SweepDir(root).recipe_path
    try:
        return json.dumps(read_json(path), indent=2, ensure_ascii=False) if path.exists() else None
    except GrokinterpError:
        return None
