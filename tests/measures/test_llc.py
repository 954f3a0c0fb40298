import dataclasses
import math

import pytest
import torch
from oracles import QuadraticLoss, build, measured, one, orthonormal_rows, untrained

from grokinterp.errors import NotApplicableError
from grokinterp.landscape.sgld import split_r_hat
from grokinterp.measures import llc
from grokinterp.snapshots import Snapshot

SPECTRUM = torch.tensor([0.0, 0.1, 0.5, 2.0], dtype=torch.float64)
SETTINGS = {"nbeta": 200.0, "gamma": 20.0, "epsilon": 1e-3, "n_chains": 50, "n_draws": 300, "burn_in": 300}


def quadratic_snapshot(spectrum: torch.Tensor = SPECTRUM, **changes) -> Snapshot:
    """A network at the minimum of a quadratic loss with these curvatures."""
    task, n = build("x+y", 2), len(spectrum)
    rotation = orthonormal_rows(n, n, 3)
    centre = torch.linspace(-1, 1, n, dtype=torch.float64)
    forward = QuadraticLoss(rotation.T @ torch.diag(spectrum) @ rotation, centre, torch.from_numpy(task.table))
    weights = {"embed.W_E": torch.zeros(3, 2, dtype=torch.float64), "x": centre.clone()}
    return Snapshot(task, weights, dataclasses.replace(forward, **{"floor": 0.05} | changes), trained=("x",))


def closed_form(h: torch.Tensor, nbeta: float, gamma: float, epsilon: float) -> float:
    a = nbeta * h + gamma
    return float((nbeta * h / (a * (1 - epsilon * a / 4))).sum() / 2)


@pytest.mark.parametrize("changes", [{}, {"gamma": 200.0}, {"epsilon": 4e-3}])
def test_at_the_minimum_of_a_quadratic_loss_llc_is_the_closed_form_and_local(changes):
    settings = SETTINGS | changes
    (row,) = measured("llc", quadratic_snapshot(), **settings)
    exact = closed_form(SPECTRUM, settings["nbeta"], settings["gamma"], settings["epsilon"])
    assert abs(row["llc"] - exact) < 4 * row["standard_error"]
    assert row["standard_error"] < 0.05 * exact
    assert row["mean_loss"] == pytest.approx(row["loss"] + row["llc"] / 200)
    assert row["loss"] == pytest.approx(0.05)
    assert (row["local"], row["why_not"]) == (True, None)
    assert row["r_hat"] < 1.1
    assert row["distance"] < row["prior_radius"]


def test_nbeta_is_n_over_ln_n_of_the_training_pairs():
    few = {"n_draws": 4, "burn_in": 0, "n_chains": 2}
    (row,) = measured("llc", quadratic_snapshot(), **few)  # four pairs, split unknown
    assert row["nbeta"] == pytest.approx(4 / math.log(4))
    snapshot = untrained("x/y", 7, d_model=8, d_mlp=8)
    (row,) = measured("llc", snapshot, **few)
    n = int(snapshot.train_mask.sum())
    assert n == 21
    assert row["nbeta"] == pytest.approx(n / math.log(n))
    mask = snapshot.train_mask & False
    mask[1, 1] = True
    with pytest.raises(NotApplicableError, match="at least two training pairs for n / ln n; this split has 1"):
        measured("llc", dataclasses.replace(snapshot, train_mask=mask))


def test_a_mean_loss_above_half_of_log_n_answers_is_not_local_and_one_below_is():
    limit = 0.5 * math.log(2)
    gained = closed_form(SPECTRUM, 200.0, 20.0, 1e-3) / 200
    for floor, local in ((limit - 1.5 * gained, True), (limit - 0.5 * gained, False)):
        (row,) = measured("llc", quadratic_snapshot(floor=floor), **SETTINGS)
        assert row["loss"] < limit
        assert row["local"] is local
        assert row["why_not"] == (None if local else "loss")


@pytest.mark.parametrize("epsilon", [9.5e-3, 1.1e-2])
def test_a_step_size_near_or_beyond_stability_is_not_local(epsilon):
    assert epsilon * (200 * 2 + 20) > 3.98  # 4 is where the stiffest direction becomes unstable
    (row,) = measured("llc", quadratic_snapshot(), **SETTINGS | {"epsilon": epsilon})
    assert not row["local"]
    assert row["why_not"] in ("loss", "diverged")
    if row["why_not"] == "diverged":
        assert {row[name] for name in ("llc", "standard_error", "r_hat", "mean_loss", "distance")} == {None}


def test_one_chain_has_no_standard_error_and_no_pull_no_radius():
    (row,) = measured("llc", quadratic_snapshot(SPECTRUM + 0.1), **SETTINGS | {"n_chains": 1, "gamma": 0.0})
    assert row["standard_error"] is None
    assert row["prior_radius"] is None
    assert row["why_not"] in (None, "growing")


def test_the_trace_holds_the_draws_that_the_estimate_is_made_of():
    snapshot, settings = quadratic_snapshot(), SETTINGS | {"n_chains": 3, "n_draws": 12}
    (row,) = measured("llc", snapshot, **settings)
    draws = measured("llc", snapshot, "trace", **settings, thin=1)
    losses = torch.tensor([draw["loss"] for draw in draws], dtype=torch.float64).view(3, 12)
    assert [draw["chain"] for draw in draws] == [0] * 12 + [1] * 12 + [2] * 12
    assert row["mean_loss"] == pytest.approx(float(losses.mean()))
    assert row["r_hat"] == pytest.approx(split_r_hat(losses))
    assert row["distance"] ** 2 == pytest.approx(sum(draw["distance"] ** 2 for draw in draws) / 36)
    thinned = measured("llc", snapshot, "trace", **settings, thin=5)
    assert [draw for draw in draws if draw["draw"] % 5 == 0] == thinned


def test_both_parts_read_one_set_of_chains_which_goes_with_the_snapshot(monkeypatch):
    import grokinterp.landscape.sgld as sgld

    calls, sample = [], sgld.sample
    monkeypatch.setattr(sgld, "sample", lambda *args, **options: calls.append(1) or sample(*args, **options))
    snapshot, short = quadratic_snapshot(), SETTINGS | {"n_draws": 8, "burn_in": 0}
    held = len(llc._SAMPLED)
    measured("llc", snapshot, **short)
    measured("llc", snapshot, "trace", **short)
    assert len(calls) == 1
    measured("llc", snapshot, **short | {"seed": 1})
    assert len(calls) == 2
    assert len(llc._SAMPLED) == held + 1
    del snapshot
    assert len(llc._SAMPLED) == held


def test_an_untrained_network_is_not_a_place_to_have_a_coefficient_of():
    (row,) = measured("llc", untrained("x+y", 7))
    assert row["why_not"] == "loss"
    assert row["loss"] == pytest.approx(math.log(7), rel=0.1)
    draws = measured("llc", untrained("x+y", 7), "trace")
    assert len(draws) == 4 * 50


@pytest.mark.slow
def test_a_memorising_network_has_a_larger_coefficient_than_a_grokked_one(grokked_run):
    marks = grokked_run.phases.landmarks(grokked_run.steps)
    rows = {}
    for name, step in marks.items():
        (rows[name],) = measured("llc", grokked_run.snapshot(step))
    assert rows["init"]["why_not"] == "loss"
    for name in ("memorised", "grokked", "end"):
        assert rows[name]["local"], rows[name]
        assert rows[name]["r_hat"] < 1.1
        assert rows[name]["standard_error"] < 0.1 * rows[name]["llc"]
        assert rows[name]["distance"] == pytest.approx(rows[name]["prior_radius"], rel=0.01)
    assert rows["memorised"]["llc"] > 10 * rows["grokked"]["llc"] > 100 * rows["end"]["llc"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("gamma", "epsilon"), [(5.0, 3e-3), (5.0, 1e-3)])
def test_the_pull_and_steps_of_public_notebooks_leave_a_grokked_network(grokked_run, gamma, epsilon):
    (row,) = measured("llc", grokked_run.snapshot(), gamma=gamma, epsilon=epsilon, nbeta=2.0, n_draws=500, burn_in=0)
    assert not row["local"]
    assert row["mean_loss"] is None or row["mean_loss"] > math.log(31)
    ours = one(measured("llc", grokked_run.snapshot()), local=True)
    assert ours["mean_loss"] < 0.01
