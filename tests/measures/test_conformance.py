"""What every measure owes, whoever wrote it: runs over all that the registry finds."""

import json
import subprocess
import sys

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import NotApplicableError
from grokinterp.measures.registry import builtin_measures
from grokinterp.tables import check_rows

MEASURES = list(builtin_measures())
TASKS = {
    "addition mod 7": {"operation": "x+y", "p": 7},
    "addition mod 12": {"operation": "x+y", "p": 12},
    "division mod 7": {"operation": "x/y", "p": 7},
    "multiplication mod 12": {"operation": "x*y", "p": 12},
    "S3": {"operation": "x.y", "p": None, "group": "S3"},
}
WITHOUT_FREQUENCIES = ("multiplication mod 12", "S3")
FOURIER = ("embedding_spectrum", "logit_spectrum", "neuron_frequencies", "progress_measures")
SKIPPED = dict.fromkeys(FOURIER, WITHOUT_FREQUENCIES) | {
    "group_representations": ("multiplication mod 12",),
    "coset_purity": ("addition mod 7", "multiplication mod 12"),
}
"""Where the package's measures have no meaning; a measure that is not in here may say so anywhere, with a reason."""


SHORT = {"llc": {"n_draws": 20, "burn_in": 5}}
"""Parameters that make a costly measure cheap; its columns are the same."""


def params_of(measure: gi.Measure) -> dict:
    return {**measure.params, **SHORT.get(measure.name, {})}


def applies(name: str, task: str, reason: str) -> bool:
    """Whether a measure was computed; that it was or was not must be what SKIPPED says."""
    if name in SKIPPED:
        assert bool(reason) == (task in SKIPPED[name]), reason
    if reason:
        assert len(reason.split()) > 5
        assert "\n" not in reason
    return not reason


@pytest.fixture(scope="module")
def tiny_runs(tmp_path_factory) -> dict[str, gi.Run]:
    folder = tmp_path_factory.mktemp("tiny")
    configs = {name: small_config(task=task, train={"checkpoint_every": 20}) for name, task in TASKS.items()}
    return {name: gi.train(c, folder / name, show_progress=False) for name, c in configs.items()}


def compute_all(measure: gi.Measure, run: gi.Run) -> dict[str, list[dict]]:
    """All parts' rows at the last checkpoint (over the run for parts of scope run)."""
    rows = {}
    for name, part in measure.parts.items():
        if part.scope == "run":
            rows[name] = part.compute(run, steps=run.steps, params=params_of(measure))
            check_rows(rows[name], part.all_columns)
        else:
            snapshot = run.snapshot()
            before = {key: value.clone() for key, value in snapshot.weights.items()}
            rows[name] = part.compute(snapshot, params=params_of(measure))
            check_rows(rows[name], part.columns)
            assert all(torch.equal(snapshot.weights[key], value) for key, value in before.items())
    return rows


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_the_declared_columns_twice_the_same_or_says_why_not(name, task, tiny_runs):
    measure, reason = builtin_measures()[name], ""
    try:
        rows = compute_all(measure, tiny_runs[task])
    except NotApplicableError as error:
        reason = str(error)
    if applies(name, task, reason):
        assert rows[""]
        assert compute_all(measure, tiny_runs[task]) == rows


@pytest.mark.parametrize("name", MEASURES)
def test_parameters_survive_json_and_everything_is_described(name):
    measure = builtin_measures()[name]
    assert json.loads(json.dumps(dict(measure.params), allow_nan=False)) == dict(measure.params)
    assert measure.summary.endswith(".")
    assert measure.reference
    for part in measure.parts.values():
        assert part.compute.__doc__
        assert "step" not in part.columns
        assert all(column.meaning for column in part.columns.values())
        assert all(set(column) <= set("abcdefghijklmnopqrstuvwxyz0123456789_K") for column in part.columns)


@pytest.fixture(scope="module")
def analyzed(tiny_runs) -> dict[str, gi.Run]:
    for name, run in tiny_runs.items():
        outcome = gi.analyze(run, MEASURES, params=SHORT, show_progress=False)
        assert not outcome.failed, (name, outcome.failed)
        assert not outcome.damaged
        for measure in MEASURES:
            applies(measure, name, outcome.skipped.get(measure, ""))
    return tiny_runs


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", MEASURES)
def test_the_figure_has_axis_labels_and_losses_have_their_unit(name, task, analyzed):
    run = analyzed[task]
    if not all(run.rundir.table_path(name, part).exists() for part in builtin_measures()[name].parts):
        assert task in SKIPPED.get(name, TASKS)
        with pytest.raises(gi.GrokinterpError, match=f"no table {name}"):
            gi.plot(run, name)
        return
    figure = gi.plot(run, name)
    figure.canvas.draw()
    assert figure.axes
    labels = []
    for axis in figure.axes:
        if len(axis.get_xticks()) and axis.xaxis.get_tick_params().get("labelbottom", True):
            assert axis.get_xlabel(), axis.get_ylabel()
        if len(axis.get_yticks()):
            assert axis.get_ylabel()
        labels += [axis.get_xlabel(), axis.get_ylabel()]
    assert any(labels)
    assert all("nats" in label for label in labels if "loss" in label)


LISTING = """
import sys
from grokinterp.measures.registry import builtin_measures
print(len(builtin_measures()))
print(sorted({"torch", "matplotlib", "transformer_lens", "sklearn"} & set(sys.modules)))
"""


def test_listing_measures_needs_neither_torch_nor_matplotlib():
    result = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [str(len(MEASURES)), "[]"]
