import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import build, measured, one, positive_matrix, quadratic, snapshot_of_cube, untrained

import grokinterp as gi
from grokinterp.measures.numerics import alignment
from grokinterp.measures.registry import builtin_measures
from grokinterp.models.forward import Activations
from grokinterp.snapshots import TrainLoss
from grokinterp.spikes import find_spikes, jumps, references
from grokinterp.tables import check_rows

few = settings(derandomize=True, deadline=None, max_examples=15)


# Softmax collapse ----------------------------------------------------------------------------


def with_margins(p: int, margins: torch.Tensor | float) -> torch.Tensor:
    """Logits of a + b in which the right answer leads all others by the pair's margin."""
    sums = torch.from_numpy(build("x+y", p).table)
    return torch.nn.functional.one_hot(sums, p).double() * torch.as_tensor(margins).reshape(-1, 1, 1)


def collapse(p: int, margins: torch.Tensor | float, mask: np.ndarray | None = None) -> dict:
    (row,) = measured("numerics", snapshot_of_cube(build("x+y", p), with_margins(p, margins), train_mask=mask))
    return row


def test_a_margin_of_30_collapses_in_float32_and_not_in_float64():
    row = collapse(113, 30.0)
    assert row["float32_collapse_fraction"] == row["float32_zero_loss_fraction"] == 1
    assert row["float32_loss"] == 0
    assert row["float64_collapse_fraction"] == row["float64_zero_loss_fraction"] == 0
    assert row["float64_loss"] == pytest.approx(math.log1p(112 * math.exp(-30)), rel=1e-4)
    assert f"{row['float64_loss']:.3g}" == "1.05e-11"


@pytest.mark.parametrize("p", [2, 5, 12, 113])
@pytest.mark.parametrize(("margin", "float32", "float64"), [(10.0, 0, 0), (15.0, 0, 0), (25.0, 1, 0), (45.0, 1, 1)])
def test_each_precision_collapses_beyond_its_own_margin(p, margin, float32, float64):
    row = collapse(p, margin)
    for name, expected in (("float32", float32), ("float64", float64)):
        assert row[f"{name}_collapse_fraction"] == row[f"{name}_zero_loss_fraction"] == expected
        assert (row[f"{name}_loss"] == 0) == bool(expected)
    if not float64:
        assert row["float64_loss"] == pytest.approx(math.log1p((p - 1) * math.exp(-margin)), rel=1e-4)


@given(seed=st.integers(0, 99), p=st.sampled_from([5, 7, 12, 13]))
@few
def test_fractions_count_the_training_pairs_beyond_the_margin(seed, p):
    stream = np.random.default_rng(seed)
    rows = stream.choice([3.0, 12.0, 25.0, 60.0], size=p)  # one margin for each a
    mask = gi.draw_train_mask(build("x+y", p), 0.5, seed)
    each = np.broadcast_to(rows[:, None], (p, p))[mask]
    row = collapse(p, torch.from_numpy(rows), mask)
    assert row["n_pairs"] == mask.sum()
    assert row["float32_collapse_fraction"] == pytest.approx((each >= 25).mean())
    assert row["float64_zero_loss_fraction"] == pytest.approx((each >= 60).mean())
    assert row["float64_loss"] == pytest.approx(np.log1p((p - 1) * np.exp(-each)).mean())


def test_a_sure_wrong_answer_collapses_with_a_loss():
    p = 7
    wrong = with_margins(p, 50.0).roll(1, dims=2)
    (row,) = measured("numerics", snapshot_of_cube(build("x+y", p), wrong))
    for name in ("float32", "float64"):
        assert row[f"{name}_collapse_fraction"] == 1
        assert row[f"{name}_zero_loss_fraction"] == 0
        assert row[f"{name}_loss"] == pytest.approx(50)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x/y", 7), ("x*y", 12)])
def test_an_untrained_network_has_no_collapse_and_its_training_loss(operation, p):
    snapshot = untrained(operation, p)
    (row,) = measured("numerics", snapshot)
    for name in ("float32", "float64"):
        assert row[f"{name}_collapse_fraction"] == row[f"{name}_zero_loss_fraction"] == 0
    loss = one(measured("accuracy_loss", snapshot), split="train")["loss"]
    assert row["float64_loss"] == pytest.approx(loss, rel=1e-12)
    assert row["float32_loss"] == pytest.approx(loss, rel=1e-6)
    assert row["unembedding_norm"] == pytest.approx(float((snapshot.weights["unembed.W_U"] ** 2).sum().sqrt()))


# The gradient's direction --------------------------------------------------------------------


@given(seed=st.integers(0, 99), n=st.integers(2, 20))
@few
def test_on_a_quadratic_the_cosine_has_its_closed_form(seed, n):
    matrix = positive_matrix(n, seed)
    x = torch.randn(n, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    cosine, norm = alignment(quadratic(matrix), x)
    pull = matrix @ x
    assert cosine == pytest.approx(-float(x @ pull / (x.norm() * pull.norm())))
    assert norm == pytest.approx(float(pull.norm()))
    assert alignment(quadratic(torch.eye(n, dtype=torch.float64)), x)[0] == pytest.approx(-1)
    assert alignment(lambda y: -y.norm(), x) == pytest.approx((1, 1))


@given(seed=st.integers(0, 99), degree=st.sampled_from([0, 1, 2, 4]))
@few
def test_of_a_homogeneous_loss_the_cosine_is_that_of_euler(seed, degree):
    stream = torch.Generator().manual_seed(seed)
    x, direction = torch.randn(2, 9, generator=stream, dtype=torch.float64)

    def loss(y: torch.Tensor) -> torch.Tensor:
        return (y @ direction / y.norm()).cos() * y.norm() ** degree

    cosine, norm = alignment(loss, x)
    assert cosine == pytest.approx(-degree * float(loss(x)) / (norm * float(x.norm())), abs=1e-12)


def test_there_is_no_cosine_where_gradient_or_weights_are_zero():
    matrix, x = positive_matrix(4, 0), torch.ones(4, dtype=torch.float64)
    assert alignment(quadratic(matrix, x), x) == (None, 0.0)
    cosine, norm = alignment(quadratic(matrix, x), torch.zeros(4, dtype=torch.float64))
    assert cosine is None
    assert norm == pytest.approx(float((matrix @ x).norm()))


class OneHotRegression:
    """Logits of a pair are the row of W_U that belongs to its answer: softmax regression on the answer itself."""

    any_dtype = True

    def __init__(self, labels: torch.Tensor) -> None:
        self.labels = labels

    def __call__(self, weights: dict, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return weights["unembed.W_U"][self.labels[left, right]]

    def activations(self, weights: dict, left: torch.Tensor, right: torch.Tensor) -> Activations:
        nothing = torch.zeros(len(left), 1, 1, dtype=torch.float64)
        return Activations(self(weights, left, right), nothing[:, 0], nothing)


def regression(p: int, w_u: torch.Tensor) -> gi.Snapshot:
    task = build("x+y", p)
    snapshot = snapshot_of_cube(task, torch.zeros(p, p, p, dtype=torch.float64), weights={"unembed.W_U": w_u})
    forward = OneHotRegression(torch.from_numpy(task.table))
    return dataclasses.replace(snapshot, forward=forward, trained=("unembed.W_U",))


@pytest.mark.parametrize("p", [2, 5, 12, 13])
@pytest.mark.parametrize("s", [0.5, 2.0, 9.0])
def test_softmax_regression_on_its_answers_is_all_naive_loss_minimisation(p, s):
    eye = torch.eye(p, dtype=torch.float64)
    (centred,) = measured("numerics", regression(p, s * (eye - 1 / p)), "gradient")
    (shifted,) = measured("numerics", regression(p, s * eye), "gradient")
    (against,) = measured("numerics", regression(p, -s * (eye - 1 / p)), "gradient")
    assert centred["nlm_cosine"] == pytest.approx(1, abs=1e-6)
    assert shifted["nlm_cosine"] == pytest.approx(math.sqrt(1 - 1 / p), abs=1e-6)
    assert against["nlm_cosine"] == pytest.approx(-1, abs=1e-6)
    miss = (p - 1) / (math.exp(s) + p - 1)  # 1 - p(correct)
    assert shifted["gradient_norm"] == pytest.approx(miss / math.sqrt(p - 1), rel=1e-5)


def test_unembedding_weights_at_random_are_not_aligned():
    p = 13
    w_u = torch.randn(p, p, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (row,) = measured("numerics", regression(p, 0.1 * w_u), "gradient")
    assert abs(row["nlm_cosine"]) < 4 / p  # a random direction of R^(p^2) has a cosine of about 1 / p


@pytest.mark.parametrize("operation", ["x+y", "x/y"])
def test_the_cosine_is_the_rate_at_which_scaling_the_weights_lowers_the_loss(operation):
    snapshot = untrained(operation, 7)
    (row,) = measured("numerics", snapshot, "gradient")
    loss, h = TrainLoss(snapshot), 1e-4
    with torch.no_grad():
        rate = (float(loss((1 + h) * loss.start)) - float(loss((1 - h) * loss.start))) / (2 * h)
    assert -row["nlm_cosine"] * row["gradient_norm"] * float(loss.start.norm()) == pytest.approx(rate, rel=1e-3)
    frozen = dataclasses.replace(snapshot, trained=("embed.W_E", "unembed.W_U"))
    (part,) = measured("numerics", frozen, "gradient")
    assert 0 < part["gradient_norm"] < row["gradient_norm"]


# Spikes --------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), n=st.integers(1, 40), window=st.integers(1, 8))
@few
def test_the_reference_is_the_median_of_the_evaluations_before(seed, n, window):
    losses = np.exp(3 * np.random.default_rng(seed).standard_normal(n))
    expected = [math.inf] + [float(np.median(losses[max(0, i - window) : i])) for i in range(1, n)]
    assert references(losses, window).tolist() == expected
    found = [i for i in range(n) if losses[i] > 10 * expected[i]]
    assert jumps(losses, 10.0, window).tolist() == found
    assert {spike.onset for spike in find_spikes(losses, window=window)} <= set(found)


def test_a_spike_lasts_from_its_first_jump_until_it_has_recovered():
    losses = np.array([1.0, 0.1, 0.01, 0.01, 0.01, 0.2, 3.0, 0.5, 0.021, 0.02, 0.01, 0.01, 0.5, 0.4])
    first, second = find_spikes(losses, factor=10.0, window=3, recovery=2.0)
    assert (first.before, first.onset, first.peak, first.recovery) == (4, 5, 6, 9)
    assert (first.reference, first.height) == (0.01, 3.0)
    assert first.ratio == pytest.approx(300)
    assert (second.onset, second.peak, second.recovery, second.reference) == (12, 12, None, 0.01)
    assert jumps(losses, 10.0, window=1).tolist() == [5, 6, 12]
    assert [spike.onset for spike in find_spikes(losses, factor=40.0, window=3)] == [6, 12]


def test_descents_noise_and_constants_have_no_spikes():
    stream = np.random.default_rng(2)
    assert find_spikes(10.0 ** -np.arange(0, 30, 0.5)) == []
    assert find_spikes(np.exp(0.3 * stream.standard_normal(2000))) == []
    assert find_spikes(np.zeros(20)) == []
    assert find_spikes(np.array([])) == []
    outlier = np.array([1.0, 1.0, 1.0, 1e-3, 1.0, 1.0])
    assert find_spikes(outlier) == []  # back from a dip
    assert jumps(outlier, 10.0).tolist() == [4]


def test_over_a_loss_of_zero_a_spike_has_no_ratio():
    (spike,) = find_spikes(np.array([1.0, 0.0, 0.0, 0.0, 1e-9, 0.0]), window=2)
    assert (spike.onset, spike.recovery, spike.ratio) == (4, 5, None)


SLINGSHOTS = builtin_measures()["numerics"].parts["slingshots"]


def slingshots(metrics: pd.DataFrame, **params) -> list[dict]:
    params = {**builtin_measures()["numerics"].params, **params}
    rows = SLINGSHOTS.compute(SimpleNamespace(metrics=metrics), steps=[0], params=params)
    check_rows(rows, SLINGSHOTS.all_columns)
    return rows


def test_slingshots_are_read_from_the_metrics_with_the_norm_across_them():
    losses = [2.0, 0.1, 0.1, 0.1, 0.1, 4.0, 7.0, None, 0.15, 0.1, 0.1, 0.1, 0.1, 3.0]
    norms = [100.0 + i for i in range(14)]
    metrics = pd.DataFrame({"step": range(0, 140, 10), "train_loss": losses, "weight_norm": norms})
    first, second = slingshots(metrics)
    assert first == {
        "step": 50,
        "peak_step": 60,
        "recovery_step": 80,
        "reference_loss": 0.1,
        "peak_loss": 7.0,
        "height_ratio": pytest.approx(70),
        "weight_norm_before": 104.0,
        "weight_norm_after": 108.0,
    }
    assert (second["step"], second["recovery_step"], second["weight_norm_after"]) == (130, None, 113.0)
    assert len(slingshots(metrics, spike_factor=35.0)) == 1
    assert slingshots(metrics, spike_factor=100.0) == []


def test_metrics_without_losses_or_norms_give_no_rows_or_nulls():
    steps = {"step": range(5)}
    assert slingshots(pd.DataFrame()) == []
    assert slingshots(pd.DataFrame(steps)) == []
    (row,) = slingshots(pd.DataFrame({**steps, "train_loss": [1.0, 1.0, 50.0, 1.0, 1.0]}))
    assert (row["step"], row["recovery_step"]) == (2, 3)
    assert row["weight_norm_before"] is row["weight_norm_after"] is None


def test_the_low_precision_run_has_its_108_jumps(foreign):
    saved = torch.load(foreign / "nanda" / "low_precision_mod_addition.pth", weights_only=True, map_location="cpu")
    losses = np.array(saved["train_losses"])
    found = jumps(losses, 10.0)
    ratio = losses[1:] / losses[:-1]
    assert len(losses) == 50_000
    assert len(found) == 108
    assert found.tolist() == [t for t in range(1, 50_000) if losses[t] > 10 * losses[t - 1]]
    assert ratio.argmax() == 10_506  # from this step to the next
    assert round(ratio.max()) == 5487
    spikes = find_spikes(losses)
    assert len(spikes) == len(find_spikes(losses[::10])) == 36  # several jumps make one slingshot
    assert all(spike.ratio > 1e4 for spike in spikes)
