"""The claims of power2022 on tables whose events are known."""

import numpy as np
import pandas as pd
import pytest

from analyses.power2022 import claims
from analyses.power2022 import interventions as ways
from analyses.power2022.figures import NOT_SYMMETRIC, SYMMETRIC

GROUP = "product in S5"


def curve(train: int, test: int | None, losses: tuple[float, float, float]) -> dict[str, pd.DataFrame]:
    """One run whose accuracies pass 99 % at these steps, and whose test loss starts, peaks and ends so."""
    steps = np.arange(0, 1001, 10)
    found = {
        "step": steps,
        "train_accuracy": np.where(steps >= train, 1.0, 0.0),
        "test_accuracy": np.where(steps >= (2000 if test is None else test), 1.0, 0.0),
        "test_loss": np.interp(steps, [0, 500, 1000], losses),
    }
    return {"curves": pd.DataFrame(found).assign(variant="adamw", seed=0)}


def fractions(*steps: float | None, train: tuple[float, ...] = (90.0, 100.0, 110.0)) -> dict[str, pd.DataFrame]:
    """Three seeds at 30, 40 and 50 % of the pairs."""
    rows = [
        {"operation": GROUP, "frac_train": fraction, "seed": seed, "last_step": 20_000}
        | {"generalization_step": step, "memorization_step": early}
        for fraction, step, early in zip((0.3, 0.4, 0.5), steps, train, strict=True)
        for seed in range(3)
    ]
    return {"fractions": pd.DataFrame(rows)}


def interventions(**accuracies: float) -> dict[str, pd.DataFrame]:
    """Every way to train at 40 and 80 %; `accuracies` at 80 %, and half of it at 40 %."""
    names = ("adamw", "to_init", *ways.WITHOUT_DECAY)
    rows = [
        {"variant": name, "run": name, "frac_train": share, "memorization_step": 100.0}
        | {"best_test_accuracy": accuracies.get(name, 0.5) * (1.0 if share == 0.8 else 0.5)}
        for name in names
        for share in (0.4, 0.8)
    ]
    return {"interventions": pd.DataFrame(rows)}


def operations(**needs: float) -> dict[str, pd.DataFrame]:
    """Each operation is accurate from the share `needs` on, and at 0.3 below it."""
    names = (*SYMMETRIC, *NOT_SYMMETRIC)
    rows = [
        {"operation": f"{name} mod 47", "frac_train": share}
        | {"best_test_accuracy": 1.0 if share >= needs.get(name, 0.6) else 0.3}
        for name in names
        for share in (0.3, 0.45, 0.6, 0.8)
    ]
    return {"operations": pd.DataFrame(rows)}


@pytest.mark.parametrize(("test", "holds"), [(500, True), (120, False), (None, True)])
def test_a_delay_is_counted_against_memorisation_and_censored_runs_are_lower_bounds(test, holds):
    found = claims.delayed_generalization(curve(50, test, (4.0, 9.0, 0.1)), factor=5)
    assert found.holds is holds
    assert ("lower bound" in found.note) is (test is None)


@pytest.mark.parametrize(("losses", "holds"), [((4.0, 9.0, 0.1), True), ((4.0, 4.5, 0.1), False)])
def test_a_second_descent_needs_a_rise_before_it(losses, holds):
    assert claims.second_descent(curve(50, 700, losses), rise=1.5).holds is holds


def test_a_run_that_did_not_generalise_has_no_second_descent():
    assert claims.second_descent(curve(50, None, (4.0, 9.0, 0.1)), rise=1.5).holds is None


def test_steps_grow_where_each_smaller_share_is_slower_or_never_there():
    assert claims.steps_grow_as_data_shrinks(fractions(9000.0, 3000.0, 1000.0)).holds
    assert claims.steps_grow_as_data_shrinks(fractions(None, 3000.0, 1000.0)).holds
    assert not claims.steps_grow_as_data_shrinks(fractions(2000.0, 3000.0, 1000.0)).holds


def test_growth_a_point_is_that_of_an_exponential():
    slow = 1000.0 * 1.45**10
    assert claims.growth_per_point(fractions(slow, 1000.0, 500.0), low=0.4, high=0.5).holds
    assert not claims.growth_per_point(fractions(2000.0, 1000.0, 500.0), low=0.4, high=0.5).holds
    assert claims.growth_per_point(fractions(None, None, 500.0), low=0.4, high=0.5).holds is None


def test_memorisation_is_no_slower_with_less_data():
    assert claims.memorization_hardly_changes(fractions(None, None, 1.0)).holds
    assert not claims.memorization_hardly_changes(fractions(None, None, 1.0, train=(300.0, 200.0, 100.0))).holds


def test_the_delay_shrinks_with_data():
    assert claims.delay_shrinks_with_data(fractions(None, 3000.0, 1000.0)).holds
    assert not claims.delay_shrinks_with_data(fractions(500.0, 3000.0, 1000.0)).holds


def test_decay_halves_the_data_or_a_bound_says_so_or_nothing_can_be_told():
    every = dict.fromkeys(ways.WITHOUT_DECAY, 1.0)
    half = interventions(adamw=2.0, **every)  # 1.0 at 40 %
    assert ways.decay_halves_the_data(half).holds
    assert not ways.decay_halves_the_data(interventions(adamw=1.0, **every)).holds
    assert ways.decay_halves_the_data(interventions(adamw=2.0)).holds
    assert ways.decay_halves_the_data(interventions(adamw=1.0)).holds is None
    assert ways.decay_halves_the_data(interventions()).holds is None
    assert ways.decay_halves_the_data(interventions(adam=1.0)).holds is False


def test_decay_to_the_initial_weights_lies_between():
    assert ways.decay_to_init_is_between(interventions(adam=0.1, to_init=0.5, adamw=0.9)).holds
    assert ways.decay_to_init_is_between(interventions(adam=0.1, to_init=0.95, adamw=0.9)).holds is False
    near_chance = interventions(adam=0.0260, to_init=0.0265, adamw=0.0270)
    assert ways.decay_to_init_is_between(near_chance).holds is None


def test_the_learning_rate_window_has_adam_at_its_top():
    assert ways.learning_rate_window(interventions(adam=0.6)).holds
    assert ways.learning_rate_window(interventions(adam=0.6, high_lr=0.7)).holds is False
    assert ways.learning_rate_window(interventions(adam=0.6, high_lr=0.59)).holds is None


def test_noise_is_compared_with_the_same_without_it():
    assert ways.noise_helps(interventions(full_batch=0.2, weight_noise=0.6)).holds
    assert ways.noise_helps(interventions(full_batch=0.2, update_noise=0.1, weight_noise=0.6)).holds is False
    assert ways.noise_helps(interventions(full_batch=0.1, adam=0.4, weight_noise=0.13)).holds is False
    assert ways.noise_helps(interventions(full_batch=0.2)).holds is None


@pytest.mark.parametrize(("dropout", "holds"), [(0.7, True), (0.3, False), (0.5, None)])
def test_dropout_is_compared_with_minibatches(dropout, holds):
    assert ways.dropout_helps(interventions(dropout=dropout)).holds is holds


@pytest.mark.parametrize(("best", "holds"), [(0.3, True), (0.05, False)])
def test_full_batches_generalise_somewhat_at_the_largest_share(best, holds):
    assert ways.full_batch_generalizes_somewhat(interventions(full_batch=best), above=0.1).holds is holds


def test_all_methods_memorise_unless_one_run_does_not():
    found = interventions()
    assert ways.all_methods_memorize(found).holds
    found["interventions"].loc[3, "memorization_step"] = None
    assert not ways.all_methods_memorize(found).holds


def test_operations_are_compared_by_the_share_they_need():
    assert claims.subtraction_like_division(operations(), tolerance=0.15).holds
    assert not claims.subtraction_like_division(operations(**{"x-y": 0.3}), tolerance=0.15).holds
    symmetric = operations(**dict.fromkeys(SYMMETRIC, 0.3))
    assert claims.symmetric_need_less(symmetric).holds
    assert not claims.symmetric_need_less(operations()).holds


def test_the_hard_operation_is_judged_only_where_others_generalise():
    assert claims.one_never_generalizes(operations(**{"x^3+xy^2+y": 2.0})).holds
    assert not claims.one_never_generalizes(operations()).holds
    assert claims.one_never_generalizes(operations(**dict.fromkeys((*SYMMETRIC, *NOT_SYMMETRIC), 2.0))).holds is None


def test_the_mixed_operation_generalises_at_some_share_or_not():
    assert claims.mixed_generalizes(operations()).holds
    assert not claims.mixed_generalizes(operations(**{"x/y if y odd else x-y": 2.0})).holds


def test_residues_on_a_circle_of_steps_of_eight_form_a_ring_and_random_ones_do_not():
    x = np.arange(97)
    angle = 2 * np.pi * x * pow(8, -1, 97) / 97
    ring = {"pc_1": np.cos(angle), "pc_2": np.sin(angle), "tsne_1": np.cos(angle), "tsne_2": np.sin(angle)}
    found = claims.symbols_form_a_ring({"symbols": pd.DataFrame({"group": "Z_97", "symbol": x, **ring})}, share=0.5)
    assert found.holds
    assert "d = 8" in found.ours
    noise = dict(zip(ring, np.random.default_rng(0).normal(size=(4, 97)), strict=True))
    assert not claims.symbols_form_a_ring(
        {"symbols": pd.DataFrame({"group": "Z_97", "symbol": x, **noise})}, share=0.5
    ).holds


def outliers(*accuracies: float, train: float = 1.0) -> dict[str, pd.DataFrame]:
    found = {"outliers": (0, 1000, 3000), "best_test_accuracy": accuracies, "train_accuracy": train}
    return {"outliers": pd.DataFrame(found)}


def test_few_outliers_hardly_hurt_and_many_do():
    found = outliers(1.0, 0.98, 0.5)
    assert claims.few_outliers_hardly_hurt(found, few=1000, drop=0.05).holds
    assert claims.many_outliers_hurt(found).holds
    assert claims.outliers_are_memorized(found).holds
    assert not claims.few_outliers_hardly_hurt(outliers(1.0, 0.9, 0.5), few=1000, drop=0.05).holds
    assert not claims.many_outliers_hurt(outliers(1.0, 1.0, 0.99)).holds
    assert not claims.outliers_are_memorized(outliers(1.0, 1.0, 1.0, train=0.9)).holds


def sharpness(n: int, sign: int) -> dict[str, pd.DataFrame]:
    x = np.linspace(0, 1, n)
    rows = {"phi": 2 + sign * x, "train_loss": x, "test_accuracy": x, "train_accuracy": 1.0}
    return {"sharpness": pd.DataFrame({"recipe": "sharpness", **rows})}


def test_sharpness_falls_over_enough_networks():
    assert claims.sharpness_falls_with_accuracy(sharpness(30, -1)).holds
    assert not claims.sharpness_falls_with_accuracy(sharpness(30, 1)).holds
    assert claims.sharpness_falls_with_accuracy(sharpness(10, -1)).holds is None


def networks(**phi: float) -> dict[str, pd.DataFrame]:
    """One network of each way to train that has a phi, equally accurate; the train loss is 1 unless said."""
    rows = [
        {"recipe": "interventions", "variant": name, "frac_train": 0.7, "test_accuracy": 1.0, "phi": value}
        | {"train_loss": 1.0}
        for name, value in phi.items()
    ]
    return {"sharpness": pd.DataFrame(rows)}


def test_flatness_of_noise_is_compared_with_what_lacks_the_noise_at_the_same_share():
    flatter = networks(full_batch=4.0, adam=2.0, weight_noise=1.0)
    assert ways.noise_finds_flatter_minima(flatter).holds
    assert not ways.noise_finds_flatter_minima(networks(full_batch=4.0, adam=2.0, weight_noise=3.0)).holds
    assert ways.noise_finds_flatter_minima(networks(full_batch=4.0, adam=2.0)).holds is None
    table = flatter["sharpness"]
    table.loc[table["variant"] == "weight_noise", "frac_train"] = 0.85
    assert ways.noise_finds_flatter_minima(flatter).holds is None


def test_a_flatness_that_is_the_train_loss_is_said_to_be_that():
    found = networks(full_batch=4.0, adam=2.0, weight_noise=1.0)
    found["sharpness"]["train_loss"] = found["sharpness"]["phi"]
    answer = ways.noise_finds_flatter_minima(found)
    assert answer.note == "phi / train loss: adam x 1, weight_noise x 1"


@pytest.mark.parametrize(("z", "holds"), [(8.0, True), (1.0, False)])
def test_cosets_cluster_more_than_shuffled_symbols_do(z, holds):
    row = {"matrix": "W_U", "purity": 0.6, "chance": 0.2, "subgroup_order": 4, "z": z, "z_null": 2.0}
    assert claims.cosets_cluster({"cosets": pd.DataFrame([row])}).holds is holds
