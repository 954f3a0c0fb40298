"""Collapse, stalls and remedies are judged from tables both ways; torch's own loss trains as ours, but absorbs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import grokinterp as gi
from analyses.stability2025 import absorbing, claims, figures
from analyses.stability2025.tables import PRECISIONS, absorbing_configs, direction, zero_gradient
from analyses.study import HERE, SCALES, Study, publish
from grokinterp.config import RunConfig
from grokinterp.measures.numerics import compute_gradient

MLP = ("torch_float32", "torch_float64", "adam", "stablemax", "perpgrad", "adamw")
STEPS = 1000


def tables(grok=(), zero=(), **cosines):
    """Three seeds a variant; grok: those that generalise and when; zero: share without a gradient at the end."""
    grok, zero = dict(grok), dict(zero)
    runs, numerics, curves = [], [], []
    for network, names in (("mlp", MLP), ("transformer", MLP[2:])):
        for name in names:
            for seed in range(3):
                at = grok.get(name)
                where = {"network": network, "variant": name, "seed": seed}
                reached = {"generalization_step": np.nan if at is None else at + seed, "last_step": STEPS}
                runs.append(where | reached | {"best_test_accuracy": 0.1 if at is None else 1.0})
                for step in (0, 500, STEPS):
                    share = zero.get(name, 0.0) if step == STEPS else 0.0
                    cosine = cosines.get("late", 0.8) if step else 0.0
                    numerics.append(where | {"step": step, "zero_gradient": share, "nlm_cosine": cosine})
                    curves.append(where | {"step": step, "test_accuracy": 0.1, "weight_norm": 10.0})
    return {"runs": pd.DataFrame(runs), "numerics": pd.DataFrame(numerics), "curves": pd.DataFrame(curves)}


FOUND = {"stablemax": 800, "perpgrad": 100, "adamw": 300}
"""Steps to 99 % as in the paper."""


def verdict(name, found, **arguments):
    return claims.CLAIMS[name](found, **arguments).holds


def test_the_papers_own_findings_hold_and_absorption_is_not_blamed_for_what_happens_without_it():
    found = tables(FOUND, {"torch_float32": 0.9})
    assert verdict("collapse_without_decay", found, share=0.5)
    assert verdict("collapse_comes_before_grokking", found, share=0.5)
    assert verdict("precision_delays_collapse", found, share=0.5)
    assert verdict("stablemax_generalizes", found, accuracy=0.95)
    assert verdict("perpgrad_generalizes", found, accuracy=0.95)
    assert verdict("stalls_without_decay", found)
    assert verdict("stablemax_is_slower", found)
    assert verdict("perpgrad_is_fastest", found)
    assert verdict("absorption_is_the_cause", found) is False
    assert verdict("absorption_is_the_cause", tables(FOUND | {"adam": 500}, {"torch_float32": 0.9}))


def test_what_does_not_hold_is_said_so():
    found = tables({"adamw": 300, "perpgrad": 900}, {"torch_float64": 0.9}, late=0.1)
    assert verdict("collapse_without_decay", found, share=0.5) is False
    assert verdict("collapse_comes_before_grokking", found, share=0.5) is False
    assert verdict("stablemax_generalizes", found, accuracy=0.95) is False
    assert verdict("perpgrad_is_fastest", found) is False
    assert verdict("gradient_aligns_with_weights", found, cosine=0.5) is False
    assert verdict("stalls_without_decay", tables({"torch_float32": 400, "adamw": 300})) is False


def test_where_a_control_fails_there_is_no_verdict():
    nothing = tables()
    assert verdict("stalls_without_decay", nothing) is None
    assert verdict("perpgrad_is_fastest", nothing) is None
    assert verdict("precision_delays_collapse", nothing, share=0.5) is None
    everything = tables(FOUND | {"torch_float32": 400})
    assert verdict("absorption_is_the_cause", everything) is None
    assert verdict("stablemax_generalizes", everything, accuracy=0.95) is None


def test_each_comparison_is_judged_on_the_network_that_the_paper_compares():
    found = tables(FOUND)
    table = found["runs"]
    table.loc[table["network"] == "transformer", "generalization_step"] = np.nan
    assert verdict("perpgrad_is_fastest", found) is None
    assert verdict("stablemax_is_slower", found)


def test_seeds_that_overlap_decide_nothing():
    found = tables(FOUND)
    table = found["runs"]
    for name, steps in (("perpgrad", [300, 1000, np.nan]), ("adamw", [1050, 350, 1100])):
        table.loc[table["variant"] == name, "generalization_step"] = steps * 2
    answer = claims.perpgrad_is_fastest(found)
    assert answer.holds is None
    assert "do not tell the two apart" in answer.note


def test_absorption_is_not_cleared_where_nothing_generalises_or_gradients_vanish_without_it():
    collapsed = {"torch_float32": 0.9}
    assert verdict("absorption_is_the_cause", tables(zero=collapsed)) is None
    assert verdict("absorption_is_the_cause", tables(FOUND, collapsed | {"adam": 0.9})) is None
    assert verdict("absorption_is_the_cause", tables(FOUND, collapsed | {"adam": 0.2})) is False


def test_a_softmax_in_float64_is_judged_by_the_same_rule():
    assert verdict("float64_stalls_too", tables(FOUND))
    assert verdict("float64_stalls_too", tables(FOUND | {"torch_float64": 400})) is False
    assert verdict("float64_stalls_too", tables()) is None


def test_without_a_gradient_at_the_end_there_is_no_direction_to_judge():
    found = tables(late=0.8)
    rows = found["numerics"]
    rows.loc[(rows["step"] == STEPS) & (rows["variant"] == "adam"), "nlm_cosine"] = np.nan
    assert verdict("gradient_aligns_with_weights", found, cosine=0.5) is None


def test_alignment_compares_the_end_with_the_beginning():
    assert verdict("gradient_aligns_with_weights", tables(late=0.8), cosine=0.5)


def test_the_number_of_epochs_is_judged_to_within_a_factor():
    assert verdict("perpgrad_epochs", tables({"perpgrad": 100}), steps=120, factor=2.0)
    assert verdict("perpgrad_epochs", tables({"perpgrad": 900}), steps=120, factor=2.0) is False


@pytest.mark.parametrize("name", list(figures.FIGURES))
def test_figures_are_drawn_from_tables_alone(name):
    fig = figures.FIGURES[name](tables(FOUND, {"torch_float32": 0.9}))
    assert all(axis.lines for axis in fig.axes)


def test_censored_seeds_are_open_marks_at_their_last_step():
    fig = figures.steps_to_grok(tables({"perpgrad": 100}))
    marks = [line for line in fig.axes[0].lines if line.get_marker() == ">" and len(line.get_xdata()) == 3]
    assert len(marks) == len(MLP) - 1
    assert all(set(line.get_xdata()) == {STEPS} for line in marks)


@pytest.mark.parametrize("scale", SCALES)
def test_the_plain_variant_is_trained_in_both_precisions_with_every_seed(scale):
    study = Study("stability2025", scale, Path())
    seeds = study.recipes["mlp"].seed_list
    configs = absorbing_configs(study)
    assert [config.train.loss_dtype for config in configs] == [p for p in PRECISIONS for _ in seeds]
    assert [config.model.init_seed for config in configs] == seeds * 2
    assert len({config.name for config in configs}) == len(configs)


def config(**train):
    return RunConfig.from_mapping(
        {
            "name": "small",
            "task": {"p": 7, "frac_train": 0.6},
            "model": {"kind": "mlp", "n_layers": 2, "d_hidden": 16, "biases": "none"},
            "optimizer": {"name": "adam", "lr": 1e-2},
            "train": {"steps": 20, "eval_every": 10, **train},
        }
    )


def test_before_anything_is_absorbed_torchs_cross_entropy_trains_the_same_network(tmp_path):
    ours = gi.train(config(dtype="float64"), tmp_path / "ours", show_progress=False)
    theirs = absorbing.train(config(dtype="float64"), tmp_path / "theirs")
    for name, weight in ours.weights(20).items():
        torch.testing.assert_close(theirs.weights(20)[name], weight, rtol=1e-9, atol=1e-12)
    assert theirs.metrics["test_accuracy"].iloc[-1] == ours.metrics["test_accuracy"].iloc[-1]


def test_a_finished_run_is_reused_and_a_part_of_one_is_not(tmp_path):
    (tmp_path / "run.part").mkdir()
    (tmp_path / "run.part" / "leftover").touch()
    first = absorbing.train(config(), tmp_path / "run")
    written = (first.path / "metrics.jsonl").stat().st_mtime_ns
    assert absorbing.train(config(), tmp_path / "run").steps == first.steps
    assert (first.path / "metrics.jsonl").stat().st_mtime_ns == written
    assert not (tmp_path / "run.part").exists()
    assert gi.open(tmp_path / "run").config == config()


@pytest.mark.parametrize("settings", [{"loss": "stablemax"}, {"batch_size": 5}])
def test_what_torchs_loop_does_not_do_is_refused(tmp_path, settings):
    with pytest.raises(Exception, match="cross-entropy on full batches"):
        absorbing.train(config(**settings), tmp_path / "run")


def test_the_direction_is_that_of_the_measure_as_long_as_float64_absorbs_nothing(tmp_path):
    run = gi.train(config(), tmp_path / "run", show_progress=False)
    for step in (0, 20):
        (row,) = compute_gradient(run.bare_snapshot(step), params={})
        assert direction(run, step) == pytest.approx((row["nlm_cosine"], row["gradient_norm"]), rel=1e-4, abs=1e-5)


def test_a_network_scaled_until_float64_rounds_keeps_its_direction(tmp_path):
    run = gi.train(config(steps=300, eval_every=100), tmp_path / "run", show_progress=False)
    weights = run.weights(300)
    factor = (50 / direction_margin(run)) ** (1 / 3)
    scaled = {name: weight * factor for name, weight in weights.items()}
    with gi.record(tmp_path / "scaled", run.config) as recorder:
        recorder.save(0, scaled, {})
    cosine, norm = direction(gi.open(tmp_path / "scaled"), 0)
    assert norm > 0
    assert cosine == pytest.approx(homogeneous_cosine(gi.open(tmp_path / "scaled"), norm), rel=1e-3)


def direction_margin(run):
    """The smallest margin of the training pairs."""
    return float(margins(run.bare_snapshot()).min())


def margins(snapshot):
    left, right, label = snapshot.loss_pairs
    logits = snapshot.logits[left, right]
    right_logit = logits.gather(1, label[:, None])
    return right_logit[:, 0] - logits.scatter(1, label[:, None], -np.inf).amax(dim=1)


def homogeneous_cosine(run, norm):
    """By Euler: three layers without biases have logits of degree 3, so -g.w = 3 sum_c p_c (z_right - z_c), meaned."""
    snapshot = run.bare_snapshot()
    left, right, label = snapshot.loss_pairs
    logits = snapshot.logits[left, right]
    below = logits.gather(1, label[:, None]) - logits
    size = sum(float(weight.double().square().sum()) for weight in run.weights(0).values()) ** 0.5
    return 3 * float(((-below).exp() * below).sum(dim=1).mean()) / (norm * size)


class Logits:
    """Two pairs of p = 4, one with margin 8 and one with `margin`, as a snapshot has them."""

    def __init__(self, margin):
        self.logits = torch.zeros(1, 2, 4, dtype=torch.float64)
        self.logits[0, 0, 1], self.logits[0, 1, 2] = 8.0, margin
        self.loss_pairs = torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("margin", "precision", "share"),
    [(15, "float32", 0), (20, "float32", 0.5), (20, "float64", 0), (40, "float64", 0.5)],
)
def test_torchs_gradient_of_the_right_logit_is_absorbed_from_the_margin_at_which_p_rounds_to_one(
    margin, precision, share
):
    assert zero_gradient(config(loss_dtype=precision), Logits(float(margin)), plain=True) == share


@pytest.mark.parametrize("loss", ["cross_entropy", "stablemax"])
def test_ours_is_not_absorbed_at_any_such_margin(loss):
    assert zero_gradient(config(loss=loss), Logits(40.0), plain=False) == 0


def test_every_entry_is_judged_at_bench_or_at_paper_alone():
    entries = json.loads((HERE / "stability2025" / "expected.json").read_text())
    assert [entry["id"] for entry in entries if "bench" not in entry["scales"]] == ["perpgrad_epochs"]


@pytest.mark.slow
def test_the_smoke_scale_trains_draws_and_judges_nothing(tmp_path):

    study = Study("stability2025", "smoke", tmp_path / "runs")
    for name, recipe in study.recipes.items():
        gi.sweep(recipe, study.folder(name))
    publish(study, "analyses.stability2025", tmp_path / "out", fresh=True)
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == set(figures.FIGURES)
    assert len(pd.read_csv(tmp_path / "out" / "runs.csv")) == 10
