"""Speed-ups are judged with censored runs and a test, and tuned settings only where the grid chooses them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import grokinterp as gi
from analyses.contrast import contrast
from analyses.speedups import claims, figures, tables
from analyses.study import HERE, SCALES, Study, publish

SPREAD = (-20, -10, 0, 10, 20, 30, -30)
LR, DECAY, BUDGET = 3e-3, 2.0, 4000


def arm(variant, median, n=7):
    """Seeds around a median; None: none gets there."""
    return [
        {"variant": variant, "seed": seed, "lr": LR, "weight_decay": DECAY, "last_step": BUDGET}
        | {"generalization_step": np.nan if median is None else median + SPREAD[seed]}
        for seed in range(n)
    ]


PUBLISHED = {
    "adam": None,
    "adam_ema": 3000,
    "adam_ma": 2000,
    "adamw": 1500,
    "adamw_ema": 1000,
    "muon": 1000,
    "adamw_decay4": 700,
}
TUNED = {"adamw": 300, "grokfast_ema": 450, "muon": 200}


def found(published=(), tuned=(), cost=(), chosen_lr=LR, edge=""):
    """Tables as this folder has them, with some arms changed."""
    published, tuned = PUBLISHED | dict(published), TUNED | dict(tuned)
    settings = [
        {"variant": name, "lr": chosen_lr, "weight_decay": DECAY, "tuned_lr": LR, "tuned_weight_decay": DECAY}
        | {"lr_at_edge": name == edge, "weight_decay_at_edge": False}
        for name in tuned
    ]
    costs = dict.fromkeys(tuned, 1.1) | {"adamw": 1.0} | dict(cost)
    curves = [
        {"recipe": recipe, "variant": name, "seed": 0, "step": step, "test_accuracy": step / BUDGET}
        for recipe, names in (("published", published), ("tuned", tuned))
        for name in names
        for step in (0, BUDGET)
    ]
    grid = [
        {"variant": name, "lr": lr, "weight_decay": decay, "last_step": 1200, "best_test_accuracy": 1.0}
        | {"generalization_step": np.nan if lr == 1e-2 else 300 * decay}
        for name in tuned
        for lr in (LR, 1e-2)
        for decay in (1.0, DECAY)
    ]
    return {
        "published": pd.DataFrame([row for name, median in published.items() for row in arm(name, median)]),
        "tuned": pd.DataFrame([row for name, median in tuned.items() for row in arm(name, median)]),
        "settings": pd.DataFrame(settings),
        "cost": pd.DataFrame(
            [{"variant": name, "relative": value, "relative_high": value + 0.2} for name, value in costs.items()]
        ),
        "curves": pd.DataFrame(curves),
        "tuning": pd.DataFrame(grid),
    }


def verdict(name, given, **arguments):
    return claims.CLAIMS[name](given, **arguments).holds


@pytest.mark.parametrize(
    ("name", "method", "recipe"),
    [
        ("grokfast_ma_without_decay", "adam_ma", "published"),
        ("grokfast_ema_without_decay", "adam_ema", "published"),
        ("grokfast_and_decay_against_neither", "adamw_ema", "published"),
        ("decay_alone_against_neither", "adamw", "published"),
        ("grokfast_at_equal_decay", "adamw_ema", "published"),
        ("muon_against_default_adamw", "muon", "published"),
        ("high_decay_alone", "adamw_decay4", "published"),
        ("tuning_alone", "adamw", "tuned"),
        ("grokfast_ema_against_tuned", "grokfast_ema", "tuned"),
        ("muon_against_tuned", "muon", "tuned"),
    ],
)
def test_each_ordering_holds_where_the_method_is_faster_and_not_where_it_is_slower(name, method, recipe):
    others = dict.fromkeys(PUBLISHED, 1500), dict.fromkeys(TUNED, 1500)
    for median, holds in ((100, True), (3900, False)):
        given = dict(zip(("published", "tuned"), others, strict=True))
        given[recipe] = given[recipe] | {method: median}
        assert verdict(name, found(**given)) is holds


def test_of_two_that_the_seeds_do_not_tell_apart_nothing_is_said():
    answer = claims.muon_against_tuned(found(tuned={"muon": 295}))
    assert answer.holds is None
    assert "do not tell the two apart" in answer.note


def test_a_baseline_that_never_gets_there_gives_a_bound_and_two_such_arms_no_verdict():
    pair = contrast(pd.DataFrame(arm("a", 400)), pd.DataFrame(arm("b", None)))
    assert (pair.ratio, pair.bound, pair.faster) == (10.0, "at least", True)
    assert "x at least 10.00" in pair.words
    other = contrast(pd.DataFrame(arm("a", None)), pd.DataFrame(arm("b", 400)))
    assert (other.ratio, other.bound, other.faster) == (0.1, "at most", False)
    assert verdict("grokfast_ma_without_decay", found({"adam_ma": None})) is None


def test_the_ratio_is_of_kaplan_meier_medians():
    few = pd.DataFrame(arm("a", 400))
    few.loc[[0, 1, 2], "generalization_step"] = np.nan
    assert contrast(few, pd.DataFrame(arm("b", 800))).ratio == pytest.approx(800 / 430)


def test_nothing_is_said_about_tuned_settings_that_the_grid_does_not_choose():
    given = found(chosen_lr=1e-2)
    for name in ("tuning_alone", "muon_against_tuned", "faster_in_seconds"):
        answer = claims.CLAIMS[name](given)
        assert answer.holds is None
        assert "lr 0.01" in answer.note


def test_a_step_that_costs_more_than_it_saves_is_no_speed_up_in_seconds():
    assert verdict("faster_in_seconds", found()) is True
    assert verdict("faster_in_seconds", found(cost={"muon": 1.6})) is False
    assert verdict("faster_in_seconds", found(cost={"muon": 1.4})) is False  # 1.5 / 1.4 is above 1, 1.5 / 1.6 is not
    assert verdict("faster_in_seconds", found(tuned={"muon": 400})) is False


def test_a_published_factor_is_judged_to_within_a_factor():
    arguments = {"variant": "muon", "baseline": "adamw", "ratio": 1.49, "factor": 1.5}
    assert verdict("muon_factor", found(), **arguments) is True
    assert verdict("muon_factor", found({"muon": 100}), **arguments) is False
    bound = {"variant": "adam_ma", "baseline": "adam", "factor": 2.0}
    assert verdict("grokfast_ma_factor", found({"adam_ma": 320}), ratio=43.84, **bound) is None  # at least 12.5
    assert verdict("grokfast_ma_factor", found({"adam_ma": 320}), ratio=3.0, **bound) is False
    assert verdict("grokfast_ma_factor", found({"adam_ma": None, "adam": 300}), ratio=13.57, **bound) is False


def test_a_setting_at_the_edge_of_the_grid_is_named_and_a_method_without_a_grid_gives_no_verdict():
    assert "muon at the lr edge" in claims.muon_against_tuned(found(edge="muon")).note
    given = found()
    given["settings"] = given["settings"][given["settings"]["variant"] != "muon"]
    answer = claims.muon_against_tuned(given)
    assert answer.holds is None
    assert "no runs of muon" in answer.note


def grid(rows):
    """(lr, decay, step or None, best accuracy) of one method."""
    return pd.DataFrame(
        [
            {"variant": "adamw", "lr": lr, "weight_decay": decay, "last_step": 1200, "best_test_accuracy": best}
            | {"generalization_step": np.nan if step is None else step}
            for lr, decay, step, best in rows
        ]
    )


def test_the_setting_with_most_seeds_there_is_chosen_and_among_these_the_fastest():
    table = grid(
        [
            *((1e-3, 1.0, step, 1.0) for step in (900, 800)),
            *((3e-3, 1.0, step, 0.9) for step in (100, None)),
            *((3e-3, 2.0, step, 1.0) for step in (500, 600)),
            *((1e-2, 4.0, None, 0.98) for _ in range(2)),
        ]
    )
    best = tables.chosen(table).iloc[0]
    assert (best["lr"], best["weight_decay"]) == (3e-3, 2.0)
    assert not best["lr_at_edge"]
    assert not best["weight_decay_at_edge"]


def test_where_nobody_gets_there_accuracy_chooses_and_an_edge_is_named():
    best = tables.chosen(grid([(1e-3, 1.0, None, 0.2), (1e-2, 1.0, None, 0.7)])).iloc[0]
    assert best["lr"] == 1e-2
    assert best["lr_at_edge"]


@pytest.mark.parametrize("scale", SCALES)
def test_everyone_has_the_same_grid_and_is_tuned_on_seeds_that_are_not_judged(scale):
    study = Study("speedups", scale, Path())
    by_method = {}
    for config in study.recipes["tuning"].configs():
        setting = config.optimizer.lr, config.optimizer.weight_decay, config.train.steps, config.model.init_seed
        by_method.setdefault(tables._method(config), []).append(setting)
    assert set(by_method) == set(tables.METHODS)
    assert len({tuple(settings) for settings in by_method.values()}) == 1
    if scale != "smoke":
        assert not set(study.recipes["tuning"].seed_list) & set(study.recipes["tuned"].seed_list)


@pytest.mark.parametrize("recipe", ["published", "tuning", "tuned"])
def test_all_methods_differ_in_optimizer_and_filter_alone(recipe):
    configs = Study("speedups", "bench", Path()).recipes[recipe].configs()
    rest = {
        (str(c.task.model_copy(update={"split_seed": 0, "label_seed": 0})), c.batch_size, c.train.steps)
        for c in configs
    }
    assert len(rest) == 1


@pytest.mark.parametrize("name", list(figures.FIGURES))
def test_figures_are_drawn_from_tables_alone(name):
    fig = figures.FIGURES[name](found({"adamw": 1500}))
    assert all(axis.lines or axis.images for axis in fig.axes)


def test_the_table_of_costs_is_relative_to_adamw(monkeypatch):
    monkeypatch.setattr(tables, "ROUNDS", 2)
    monkeypatch.setattr(tables, "UPDATES", 2)
    table = tables.cost(Study("speedups", "smoke", Path())).set_index("variant")
    assert set(table.index) == {*tables.METHODS, "grokfast_ma"}
    assert table.loc["adamw", "relative"] == 1
    assert (table["ms_per_step"] > 0).all()


def test_published_numbers_are_judged_at_the_published_size_alone():
    entries = json.loads((HERE / "speedups" / "expected.json").read_text())
    assert [entry["id"] for entry in entries if "ratio" in entry] == [
        entry["id"] for entry in entries if entry["scales"] == ["paper"]
    ]


@pytest.mark.slow
def test_the_smoke_scale_trains_draws_and_judges_nothing(tmp_path):
    study = Study("speedups", "smoke", tmp_path / "runs")
    for name, recipe in study.recipes.items():
        gi.sweep(recipe, study.folder(name))
    publish(study, "analyses.speedups", tmp_path / "out", fresh=True)
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == set(figures.FIGURES)
