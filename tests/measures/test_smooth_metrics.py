import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    PRIMES_AND_OTHERS,
    build,
    clock_logits,
    clock_loss,
    in_natural_order,
    measured,
    one,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.cyclic import frequencies
from grokinterp.measures.registry import builtin_measures
from grokinterp.tables import check_rows

few = settings(derandomize=True, deadline=None, max_examples=12)
SHARPNESS = builtin_measures()["smooth_metrics"].parts["sharpness"]
PARAMS = dict(builtin_measures()["smooth_metrics"].params)


def scores(snapshot, split: str = "all") -> dict:
    return one(measured("smooth_metrics", snapshot), split=split)


def off_by(p: int, shift: int, height: float = 200.0) -> torch.Tensor:
    """Logits that are sure of the answer a + b + shift."""
    sums = torch.arange(p)[:, None] + torch.arange(p)[None, :] + shift
    return height * torch.nn.functional.one_hot(sums % p, p).double()


# The main part -------------------------------------------------------------------------------


@pytest.mark.parametrize("p", PRIMES_AND_OTHERS)
def test_equal_logits_score_what_a_guess_does(p):
    row = scores(snapshot_of_cube(build("x+y", p), torch.full((p, p, p), 0.1, dtype=torch.float64)))
    assert row["p_correct"] == pytest.approx(1 / p)
    assert row["log_prob"] == pytest.approx(-math.log(p))
    assert row["brier"] == pytest.approx(1 - 1 / p)
    assert row["margin"] == row["normalized_margin"] == row["accuracy"] == 0
    assert row["rank"] == pytest.approx((p + 1) / 2)
    assert row["reciprocal_rank"] == pytest.approx(2 / (p + 1))
    assert row["circular_error"] == pytest.approx(1 if p % 2 == 0 else 1 - 1 / p**2)


@given(p=st.sampled_from([3, 5, 7, 12, 13]), amplitude=st.sampled_from([0.5, 4.0, 40.0]), data=st.data())
@few
def test_a_clock_has_the_scores_of_its_one_distribution(p, amplitude, data):
    k = data.draw(st.sampled_from([k for k in frequencies(p) if math.gcd(k, p) == 1]))
    row = scores(snapshot_of_cube(build("x+y", p), clock_logits(p, {k: amplitude}), train_mask=None))
    wave = [amplitude * math.cos(2 * math.pi * k * d / p) for d in range(p)]
    total = math.fsum(math.exp(z) for z in wave)
    chance = [math.exp(z) / total for z in wave]
    assert row["log_prob"] == pytest.approx(-clock_loss(p, {k: amplitude}))
    assert row["p_correct"] == pytest.approx(chance[0])
    assert row["brier"] == pytest.approx(sum(x**2 for x in chance[1:]) + sum(chance[1:]) ** 2)
    step = 1 - math.cos(2 * math.pi / p)
    assert row["margin"] == pytest.approx(amplitude * step)
    assert row["normalized_margin"] == pytest.approx(math.sqrt(2) * step)
    assert row["rank"] == row["reciprocal_rank"] == row["accuracy"] == row["accuracy_power_10"] == 1
    error = math.fsum(x * min(d, p - d) for d, x in enumerate(chance)) / (p / 4)
    assert row["circular_error"] == pytest.approx(error)


def twin(task: gi.Task, cube: torch.Tensor, mask: np.ndarray) -> dict[str, float | None]:
    """Every score with loops over pairs and answers."""
    found: dict[str, list[float]] = {}
    for a, b in zip(*np.nonzero(mask), strict=True):
        z, c = cube[a, b].tolist(), int(task.table[a, b])
        p = [math.exp(x) / math.fsum(map(math.exp, z)) for x in z]
        others, spread = [x for j, x in enumerate(z) if j != c], float(np.std(z))
        rank = 1 + sum(x > z[c] for x in others) + sum(x == z[c] for x in others) / 2
        pair = {
            "accuracy": float(z[c] > max(others)),
            "p_correct": p[c],
            "log_prob": math.log(p[c]),
            "brier": sum((x - (j == c)) ** 2 for j, x in enumerate(p)),
            "margin": z[c] - max(others),
            "normalized_margin": (z[c] - max(others)) / spread if spread else 0.0,
            "rank": rank,
            "reciprocal_rank": 1 / rank,
        }
        places = [] if task.coordinates is None else task.coordinates.answer.tolist()
        if c in places:
            n, here = len(places), places.index(c)
            distance = [min(abs(t - here), n - abs(t - here)) for t in range(n)]
            weight = [p[j] for j in places]
            mean = math.fsum(w * d for w, d in zip(weight, distance, strict=True)) / math.fsum(weight)
            pair["circular_error"] = mean / (n / 4)
        for name, value in pair.items():
            found.setdefault(name, []).append(value)
    means = {name: math.fsum(values) / len(values) for name, values in found.items()}
    means |= {f"accuracy_power_{L}": means["accuracy"] ** L for L in (2, 10)}
    return {"circular_error": None, **means}


@pytest.mark.parametrize(
    ("operation", "p"), [("x+y", 2), ("x+y", 12), ("x-y", 5), ("x*y", 5), ("x/y", 7), ("x*y", 12), ("x/y", 12)]
)
def test_scores_are_those_of_loops_over_pairs_and_answers(operation, p):
    task = build(operation, p)
    mask = gi.draw_train_mask(task, 0.5, 3)
    stream = torch.Generator().manual_seed(p)
    cube = 2 * torch.randn(*task.table.shape, p, generator=stream, dtype=torch.float64)
    cube = cube.round(decimals=0) + 0.5 * cube.mean()  # some logits are equal
    snapshot = snapshot_of_cube(task, cube, train_mask=mask)
    for split, chosen in (("all", task.defined), ("train", mask), ("test", task.defined & ~mask)):
        row = scores(snapshot, split)
        assert row.pop("split") == split
        assert row.pop("n_pairs") == chosen.sum()
        expected = twin(task, cube, chosen)
        assert {name for name, value in row.items() if value is None} == {n for n, v in expected.items() if v is None}
        assert row == pytest.approx(expected)


def test_only_the_circular_error_tells_a_near_answer_from_a_far_one():
    p = 12
    rows = {shift: scores(snapshot_of_cube(build("x+y", p), off_by(p, shift))) for shift in (1, 3, 6, 11)}
    for shift, row in rows.items():
        assert row["circular_error"] == pytest.approx(min(shift, p - shift) / (p / 4))
        assert row["log_prob"] == pytest.approx(-200)
        assert row["brier"] == pytest.approx(2)
        assert row["margin"] == -200
        assert row["rank"] == pytest.approx(2 + (p - 2) / 2)  # one above, the others equal
        assert row["accuracy"] == 0


@pytest.mark.parametrize("operation", ["x*y", "x/y"])
@pytest.mark.parametrize("zero_column", [-900.0, 0.0, 900.0])
def test_the_circle_of_multiplication_is_that_of_logarithms_without_zero(operation, zero_column):
    task = build(operation, 7)
    row = scores(snapshot_of_cube(task, in_natural_order(task, off_by(6, 1), zero_column)))
    assert row["circular_error"] == pytest.approx(1 / 1.5)  # one step in logarithms, n / 4 = 1.5


def test_without_a_circle_there_is_no_circular_error():
    s3 = gi.build_task(gi.TaskConfig(operation="x.y", group="S3"))
    for task in (s3, build("x*y", 12)):
        cube = torch.zeros(*task.table.shape, task.n_answers, dtype=torch.float64)
        row = scores(snapshot_of_cube(task, cube))
        assert row["circular_error"] is None
        assert row["p_correct"] == pytest.approx(1 / task.n_answers)


def test_train_and_test_pairs_are_told_apart():
    task = build("x+y", 7)
    mask = gi.draw_train_mask(task, 0.4, 3)
    cube = torch.where(torch.from_numpy(mask)[:, :, None], off_by(7, 0), off_by(7, 2))
    snapshot = snapshot_of_cube(task, cube, train_mask=mask)
    train, test, everything = (scores(snapshot, split) for split in ("train", "test", "all"))
    assert (train["accuracy"], test["accuracy"]) == (1, 0)
    assert test["circular_error"] == pytest.approx(2 / (7 / 4))
    share = mask.mean()
    assert everything["accuracy_power_2"] == pytest.approx(share**2)
    assert everything["margin"] == pytest.approx(200 * share - 200 * (1 - share))
    assert "train" not in [row["split"] for row in measured("smooth_metrics", snapshot_of_cube(task, cube))]


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50), seed=st.integers(0, 99))
@few
def test_only_margin_and_probabilities_know_the_scale_of_the_logits(scale, shift, seed):
    stream = torch.Generator().manual_seed(seed)
    cube = torch.randn(7, 7, 7, generator=stream, dtype=torch.float64)
    row = scores(snapshot_of_cube(build("x-y", 7), cube))
    scaled = scores(snapshot_of_cube(build("x-y", 7), scale * cube + shift))
    assert scaled["margin"] == pytest.approx(scale * row["margin"])
    for name in ("normalized_margin", "rank", "reciprocal_rank", "accuracy"):
        assert scaled[name] == pytest.approx(row[name])
    moved = scores(snapshot_of_cube(build("x-y", 7), cube + shift))
    assert {k: v for k, v in moved.items() if k != "split"} == pytest.approx(
        {k: v for k, v in row.items() if k != "split"}
    )


def test_huge_logits_overflow_nowhere_and_small_errors_keep_their_digits():
    cube = 40 * torch.nn.functional.one_hot(torch.from_numpy(build("x+y", 5).table), 5).double()
    row = scores(snapshot_of_cube(build("x+y", 5), cube))
    assert row["brier"] == pytest.approx(20 * math.exp(-80), rel=1e-9)  # (4 e^-40)^2 + 4 (e^-40)^2
    assert row["circular_error"] == pytest.approx(6 * math.exp(-40) / 1.25, rel=1e-9)
    row = scores(snapshot_of_cube(build("x+y", 5), 1e5 * cube - 1e7))
    assert row["log_prob"] == row["brier"] == row["circular_error"] == 0


def test_accuracy_and_log_prob_are_those_of_accuracy_and_loss():
    snapshot = untrained("x/y", 7)
    for row in measured("accuracy_loss", snapshot):
        if row["split"] != "zero":
            other = scores(snapshot, row["split"])
            assert other["accuracy"] == row["accuracy"]
            assert other["log_prob"] == pytest.approx(-row["loss"])


def test_random_logits_and_an_untrained_network_score_as_chance_does():
    p, stream = 13, torch.Generator().manual_seed(0)
    row = scores(snapshot_of_cube(build("x+y", p), torch.randn(p, p, p, generator=stream, dtype=torch.float64)))
    harmonic = sum(1 / r for r in range(1, p + 1)) / p
    second = sum(1 / r**2 for r in range(1, p + 1)) / p
    assert abs(row["rank"] - (p + 1) / 2) < 4 * math.sqrt((p**2 - 1) / 12) / p
    assert abs(row["reciprocal_rank"] - harmonic) < 4 * math.sqrt(second - harmonic**2) / p
    null = scores(untrained("x+y", 31))
    assert null["p_correct"] == pytest.approx(1 / 31, rel=0.1)
    assert null["circular_error"] == pytest.approx(1, abs=0.02)
    assert null["normalized_margin"] < -1


# Sharpness -----------------------------------------------------------------------------------


@dataclass
class StubRun:
    """Holds a main table; counts who asks for a network."""

    rows: pd.DataFrame
    asked: list[int] = field(default_factory=list)

    def table(self, name: str) -> pd.DataFrame:
        assert name == "smooth_metrics"
        return self.rows

    def bare_snapshot(self, step: int) -> gi.Snapshot:
        self.asked.append(step)
        return untrained("x+y", 5, d_model=8, d_mlp=8)


def main_table(steps: np.ndarray, accuracy: np.ndarray, **others: np.ndarray) -> pd.DataFrame:
    columns = builtin_measures()["smooth_metrics"].parts[""].columns
    table = pd.DataFrame({"step": steps, **dict.fromkeys(columns, accuracy)}).assign(split="test", **others)
    return table.assign(accuracy_power_2=accuracy**2, accuracy_power_10=accuracy**10)


def sharpness(run, steps: list[int], **params) -> list[dict]:
    rows = SHARPNESS.compute(run, steps=steps, params=PARAMS | params)
    check_rows(rows, SHARPNESS.all_columns)
    return rows


STEPS = np.arange(0, 4001, 2)
LOGISTIC = 1 / (1 + np.exp(-(STEPS - 2000) / 80))


def test_the_positive_control_is_sharper_by_its_closed_form_and_rivals_are_compared_with_accuracy():
    wide = 1 / (1 + np.exp(-(STEPS - 2000) / 160))
    table = main_table(STEPS, LOGISTIC, p_correct=wide, rank=30 - 29 * LOGISTIC, circular_error=np.nan)
    run = StubRun(table)
    rows = sharpness(run, STEPS.tolist())
    ratio = {row["metric"]: row["width_ratio"] for row in rows}
    assert round(ratio["accuracy_power_2"], 3) == 0.839
    assert round(ratio["accuracy_power_10"], 3) == 0.727
    assert ratio["accuracy"] == 1
    assert ratio["p_correct"] == pytest.approx(2, rel=1e-3)
    assert ratio["rank"] == pytest.approx(1)
    assert "circular_error" not in ratio
    row = one(rows, metric="accuracy", split="test")
    assert row["width_steps"] == pytest.approx(2 * 80 * math.log(9), rel=1e-3)
    assert row["step"] == 4000
    assert row["variation"] == pytest.approx(1)
    assert row["resolution_steps"] == 2
    assert row["erf_s_low"] < row["erf_s"] < row["erf_s_high"]
    assert row["erf_t"] == pytest.approx(2000, rel=1e-3)
    assert not run.asked


def test_a_run_whose_accuracy_hardly_moves_has_no_widths():
    table = main_table(STEPS, 0.1 * LOGISTIC, p_correct=LOGISTIC)
    for row in sharpness(StubRun(table), STEPS.tolist()):
        filled = {name for name, value in row.items() if value is not None}
        assert filled == {"step", "split", "metric", "start", "end"}
    rows = sharpness(StubRun(table), STEPS.tolist(), min_accuracy_change=0.05)
    assert one(rows, metric="p_correct")["width_ratio"] == pytest.approx(1)


def test_a_table_that_lacks_a_step_is_not_trusted():
    run = StubRun(main_table(STEPS[:3], LOGISTIC[:3]))
    rows = sharpness(run, [0, 2, 5])
    assert run.asked == [0, 2, 5]
    assert one(rows, metric="p_correct", split="all")["start"] == pytest.approx(0.2, abs=0.05)
    run = StubRun(main_table(STEPS, LOGISTIC))
    coarse = one(sharpness(run, [0, 1600, 2400, 4000]), metric="accuracy")
    assert coarse["resolution_steps"] == 800  # only the steps that were asked for
    assert not run.asked


def test_from_the_saved_table_and_from_checkpoints_come_the_same_rows(tmp_path):
    train = {"steps": 120, "checkpoint_every": 40, "checkpoint_log_points": 3}
    run = gi.train(small_config(task={"p": 5, "frac_train": 0.6}, train=train), tmp_path, show_progress=False)
    with pytest.raises(GrokinterpError):
        run.table("smooth_metrics")
    computed = sharpness(run, run.steps)
    outcome = gi.analyze(run, ["smooth_metrics"], show_progress=False)
    assert not outcome.failed
    saved = run.table("smooth_metrics.sharpness")
    assert saved.astype(object).where(saved.notna(), None).to_dict("records") == computed
    trained = one(computed, metric="accuracy", split="train")
    assert (trained["end"], trained["n_inside"] is not None) == (1, True)
    assert 0 < trained["step_10"] < trained["midpoint"] < trained["step_90"] < 120
