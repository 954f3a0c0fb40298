import math
import random
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    build,
    clock_logits,
    in_natural_order,
    measured,
    one,
    pizza_logits,
    pizza_share,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
    wave_rows,
)

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.harmonics.circles import circle_correlations
from grokinterp.measures.clock_pizza import distance_irrelevance, gradient_cosines, shuffled_triples
from grokinterp.models.forward import Activations, build_forward
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import Snapshot

few = settings(derandomize=True, deadline=None, max_examples=12)
TASKS = [("x+y", 7), ("x-y", 12), ("x*y", 7), ("x/y", 13)]


# Functions of two embeddings -----------------------------------------------------------------


@dataclass
class OfEmbeddings:
    """Logits as a differentiable function of the two embedded operands."""

    read: object
    any_dtype: bool = True

    def __call__(self, weights, left, right):
        return self.read(weights["embed.W_E"][left], weights["embed.W_E"][right])

    def activations(self, weights, left, right) -> Activations:
        nothing = torch.zeros(len(left), 1, 3, dtype=torch.float64)
        return Activations(self(weights, left, right), nothing[..., 0], nothing)


def snapshot_of_function(operation: str, p: int, amplitudes: dict[int, float], read) -> Snapshot:
    """Elements on circles of unit radius, in natural order, read by `read(x, y) -> logits`."""
    task = build(operation, p)
    c = task.coordinates
    embed = torch.zeros(task.layout.d_vocab, 2 * len(amplitudes), dtype=torch.float64)
    embed[c.left] = wave_rows(c.n, dict.fromkeys(amplitudes, 1.0))
    weights = {
        "embed.W_E": embed,
        "blocks.0.mlp.W_out": torch.eye(2 * len(amplitudes), dtype=torch.float64),
        "unembed.W_U": torch.zeros(2 * len(amplitudes), task.n_answers, dtype=torch.float64),
    }
    weights["unembed.W_U"][:, c.answer] = wave_rows(c.n, amplitudes).T
    return Snapshot(task, weights, OfEmbeddings(read))


def clock_function(p: int, amplitudes: dict[int, float]):
    """sum_k A_k Re(x y e^{-i w c}) of complex x, y: the clock, and the gradient at x turned by the angle of y."""
    c = torch.arange(p, dtype=torch.float64)

    def read(x, y):
        total = 0.0
        for i, (k, A) in enumerate(amplitudes.items()):
            u, v = (torch.complex(z[:, 2 * i], z[:, 2 * i + 1]) for z in (x, y))
            answer = torch.polar(torch.ones_like(c), -2 * math.pi * k * c / p)
            total = total + A * ((u * v)[:, None] * answer).real
        return total

    return read


def triples_of(p: int, n: int = 100) -> list[tuple[int, int, int]]:
    """As the paper's code draws them: shuffle the list, take the first."""
    everything = list(product(range(p), repeat=3))
    random.Random(42).shuffle(everything)
    return everything[:n]


# Gradient symmetricity -----------------------------------------------------------------------


@pytest.mark.parametrize("p", [3, 7, 12])
def test_the_triples_are_those_of_the_shuffled_list(p):
    numbers = shuffled_triples(p, p, p, 42, 100)
    assert [(q // p // p, q // p % p, q % p) for q in numbers[:100]] == triples_of(p)


@given(p=st.sampled_from([5, 7, 12, 13]), data=st.data())
@few
def test_the_symmetricity_of_a_clock_is_the_mean_cosine_of_the_distance(p, data):
    k = data.draw(st.integers(1, (p - 1) // 2))
    (row,) = measured("clock_pizza", snapshot_of_function("x+y", p, {k: 3.0}, clock_function(p, {k: 3.0})))
    cosines = np.array([math.cos(2 * math.pi * k * (a - b) / p) for a, b, _ in triples_of(p)])
    assert row["gradient_symmetricity"] == pytest.approx(cosines.mean())
    assert row["standard_error"] == pytest.approx(cosines.std(ddof=1) / len(cosines) ** 0.5)
    assert row["distance_irrelevance"] is None  # the correct logit is the same everywhere: 0/0


@pytest.mark.parametrize(("p", "amplitudes"), [(7, {2: 9.0}), (12, {5: 9.0}), (13, {5: 9.0, 3: 2.0})])
def test_a_pizza_is_symmetric_and_its_correct_logit_is_a_function_of_the_distance(p, amplitudes):
    (row,) = measured("clock_pizza", pizza_snapshot(p, amplitudes))
    assert row["gradient_symmetricity"] == pytest.approx(1.0)
    assert row["standard_error"] == pytest.approx(0.0, abs=1e-9)
    assert row["distance_irrelevance"] == pytest.approx(0.0, abs=1e-9)


def test_gradients_at_an_angle_give_its_cosine():
    p, angle = 7, 1.1
    u = torch.tensor([1.0, 0.0], dtype=torch.float64)
    v = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)

    def read(x, y):
        scale = torch.arange(p, dtype=torch.float64)  # answer 0 has no gradient at all
        return (x @ u + 5 * (y @ v))[:, None] * scale

    (row,) = measured("clock_pizza", snapshot_of_function("x+y", p, {1: 1.0}, read))
    assert row["gradient_symmetricity"] == pytest.approx(math.cos(angle))
    assert row["n_triples"] == sum(c > 0 for _, _, c in triples_of(p))


def test_without_gradients_there_is_no_symmetricity():
    def read(x, y):
        return 0.0 * (x + y).sum(1, keepdim=True).expand(-1, 5) + torch.arange(5, dtype=torch.float64)

    (row,) = measured("clock_pizza", snapshot_of_function("x+y", 5, {1: 1.0}, read))
    assert (row["gradient_symmetricity"], row["standard_error"], row["n_triples"]) == (None, None, 0)


@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b"])
@pytest.mark.parametrize(
    "shape", [{}, {"n_layers": 2, "normalization": "LN", "biases": "all"}, {"causal": False, "n_layers": 2}]
)
def test_gradients_are_those_at_the_embedding_hook_of_each_example(layout, shape):
    from grokinterp.models.transformer import load_hooked

    p, task = 5, gi.build_task(gi.TaskConfig(operation="x+y", p=5, layout=layout))
    config = TransformerConfig(d_model=16, n_heads=2, d_mlp=24, init_seed=8, **shape)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    snapshot = Snapshot(task, weights, build_forward(config, task.layout, p, dtype=torch.float64))
    model = load_hooked(config, task.layout, weights)
    at = [[slot.kind for slot in task.layout.slots].index(kind) for kind in ("left", "right")]
    expected = []
    for a, b, c in triples_of(p, 30):
        tokens = torch.from_numpy(task.layout.tokens(np.array([a]), np.array([b])))
        kept = []
        with model.hooks(fwd_hooks=[("hook_embed", lambda value, hook, kept=kept: kept.append(value))]):
            logit = model(tokens)[0, -1, c]
        (gradient,) = torch.autograd.grad(logit, kept[0])
        at_left, at_right = gradient[0, at[0]], gradient[0, at[1]]
        expected.append(float(at_left @ at_right / (at_left.norm() * at_right.norm())))
    assert any(a == b for a, b, _ in triples_of(p, 30))
    assert gradient_cosines(snapshot, 30, 42).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("operation", "p"), [*TASKS, ("x*y", 12), ("x/y", 12)])
def test_only_pairs_with_an_answer_are_drawn(operation, p):
    snapshot = untrained(operation, p)
    (row,) = measured("clock_pizza", snapshot, n_triples=40)
    expected = [(a, b, c) for a, b, c in triples_of(p, p**3) if snapshot.task.defined[a, b]][:40]
    assert row["n_triples"] == len(expected) == 40
    assert (row["distance_irrelevance"] is None) == (snapshot.task.coordinates is None)


# Distance irrelevance ------------------------------------------------------------------------


def of_correct(task, correct: torch.Tensor) -> Snapshot:
    """A snapshot whose correct natural logit is given, the wrong ones random."""
    n = correct.shape[0]
    cube = torch.randn(n, n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    i = torch.arange(n)
    cube[i[:, None], i[None, :], (i[:, None] + i[None, :]) % n] = correct
    return snapshot_of_cube(task, in_natural_order(task, cube))


@given(task=st.sampled_from([("x+y", 7), ("x-y", 13), ("x+y", 13)]), seed=st.integers(0, 99), scale=st.floats(0.1, 9))
@few
def test_sums_and_distances_that_add_have_a_closed_form_for_odd_n(task, seed, scale):
    task = build(*task)
    n, stream = task.coordinates.n, torch.Generator().manual_seed(seed)
    f, g = torch.randn(2, n, generator=stream, dtype=torch.float64)
    i, j = torch.arange(n)[:, None], torch.arange(n)[None, :]
    found = distance_irrelevance(of_correct(task, f[(i - j) % n] + scale * g[(i + j) % n]))
    var_f, var_g = float(f.var(correction=0)), scale**2 * float(g.var(correction=0))
    assert found == pytest.approx(math.sqrt(var_g / (var_f + var_g)))


@given(p=st.sampled_from([3, 5, 7, 13]), seed=st.integers(0, 99))
@few
def test_it_is_the_published_formula_on_the_table_of_sum_and_distance(p, seed):
    correct = torch.randn(p, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    table = np.full((p, p), np.nan)
    for a, b in product(range(p), repeat=2):
        table[(a + b) % p, (a - b) % p] = correct[a, b]
    expected = table.std(axis=0).mean() / table.std()
    assert distance_irrelevance(of_correct(build("x+y", p), correct)) == pytest.approx(expected)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 12), ("x*y", 7), ("x/y", 13), ("x-y", 2)])
def test_for_even_n_pairs_are_grouped_by_their_distance(operation, p):
    task = build(operation, p)
    n = task.coordinates.n
    assert n % 2 == 0
    correct = torch.randn(n, n, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    groups = [[float(correct[i, j]) for i, j in product(range(n), repeat=2) if (i - j) % n == d] for d in range(n)]
    assert all(len(group) == n for group in groups)
    expected = np.mean([np.std(group) for group in groups]) / np.std(correct.numpy())
    assert distance_irrelevance(of_correct(task, correct)) == pytest.approx(expected)


def test_a_correct_logit_of_the_sum_alone_has_irrelevance_one():
    p = 13
    i = torch.arange(p, dtype=torch.float64)
    of_sum = torch.cos(2 * math.pi * 3 * (i[:, None] + i[None, :]) / p)
    assert distance_irrelevance(of_correct(build("x+y", p), of_sum)) == pytest.approx(1.0)


def test_independent_correct_logits_have_irrelevance_near_one():
    p = 61
    correct = torch.randn(p, p, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert distance_irrelevance(of_correct(build("x+y", p), correct)) == pytest.approx(math.sqrt(1 - 1 / p), abs=0.01)


# Baselines -----------------------------------------------------------------------------------


def test_an_untrained_network_looks_like_its_baseline_and_is_almost_symmetric():
    snapshot = untrained("x+y", 13)
    (row,) = measured("clock_pizza", snapshot)
    rows = measured("clock_pizza", snapshot, "baseline", n_baselines=6)
    assert len(rows) == 12
    for name, most in (("gradient_symmetricity", 0.03), ("distance_irrelevance", 0.05)):
        values = [r[name] for r in rows if r["network"] == "untrained"]
        assert row[name] == pytest.approx(np.mean(values), abs=most)
        assert min(values) > 0.9  # so a high symmetricity alone says nothing


def test_symmetry_that_the_architecture_forces_is_in_the_baseline():
    snapshot = pizza_snapshot(7, {2: 5.0})
    rows = measured("clock_pizza", snapshot, "baseline", n_baselines=2)
    assert [row["gradient_symmetricity"] for row in rows] == pytest.approx([1.0] * 4)
    assert min(row["distance_irrelevance"] for row in rows) > 0.5  # but not that the distance matters


# Circles -------------------------------------------------------------------------------------


def by_formula(rows: list[dict], **where) -> dict[str, float]:
    return {r["formula"]: r["fve_fitted"] for r in rows if all(r[name] == value for name, value in where.items())}


@pytest.mark.parametrize("p", [7, 12, 13])
def test_the_circles_of_a_pizza_are_pizzas_and_clocks_only_as_far_as_a_pizza_is_one(p):
    ks = (5, 1) if p > 7 else (2, 3)  # coprime to p
    rows = measured("clock_pizza", pizza_snapshot(p, {ks[0]: 9.0, ks[1]: 4.0}), "circles")
    for k in ks:
        found = by_formula(rows, isolation="frequency", k=k)
        assert found["pizza"] == pytest.approx(1.0)
        assert found["clock"] == pytest.approx(pizza_share(p))
        assert one(rows, isolation="frequency", k=k, formula="pizza")["fve"] == pytest.approx(1.0)
        row = one(rows, isolation="frequency", k=k, formula="clock")
        assert row["fve"] == pytest.approx(2 * math.sqrt(pizza_share(p)) - 1)
        assert row["embedding_share"] == pytest.approx(0.5)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x-y", 13), ("x*y", 13), ("x/y", 7)])
def test_the_circles_of_a_clock_are_clocks_in_natural_coordinates(operation, p):
    task = build(operation, p)
    c, amplitudes = task.coordinates, {1: 4.0, 2: 7.0}
    function = clock_function(c.n, amplitudes)
    right = torch.zeros(task.layout.n_operand_tokens, dtype=torch.long)
    right[torch.from_numpy(c.right)] = torch.from_numpy(c.left)
    snapshot = snapshot_of_function(operation, p, amplitudes, None)

    class Natural(OfEmbeddings):
        def __call__(self, weights, left, right_operand):
            natural = function(weights["embed.W_E"][left], weights["embed.W_E"][right[right_operand]])
            logits = torch.zeros(len(left), task.n_answers, dtype=natural.dtype)
            return logits.index_copy(1, torch.from_numpy(c.answer), natural)

    rows = measured(
        "clock_pizza", Snapshot(task, snapshot.weights, Natural(None)).with_keys(snapshot.own_keys), "circles"
    )
    for k in amplitudes:
        found = by_formula(rows, isolation="frequency", k=k)
        assert found["clock"] == pytest.approx(1.0, abs=1e-5)
        assert found["pizza"] < 0.9


def test_components_are_the_circles_where_their_sizes_differ():
    p, snapshot = 13, pizza_snapshot(13, {5: 9.0, 2: 4.0})
    embed = snapshot.weights["embed.W_E"].clone()
    embed[:, 2:4] *= 1.5
    rows = measured("clock_pizza", snapshot.with_weights({"embed.W_E": embed}), "circles")
    for circle, k in ((1, 2), (2, 5)):
        row = one(rows, isolation="components", circle=circle, formula="pizza")
        assert row["k"] == k
        assert row["circularity"] == pytest.approx(1.0)
        assert row["fve_fitted"] == pytest.approx(1.0)
        assert row["embedding_share"] == pytest.approx((2.25 if k == 2 else 1.0) / 3.25)
    assert [r["k"] for r in rows if r["formula"] == "clock" and r["isolation"] == "frequency"] == [2, 5]
    full = pizza_logits(p, {5: 9.0, 2: 4.0})
    assert circle_correlations(full, 5)["pizza"] < 0.95  # the whole network is no single pizza


def test_an_untrained_network_is_neither():
    rows = measured("clock_pizza", untrained("x+y", 13), "circles")
    assert rows
    assert max(row["fve_fitted"] for row in rows) < 0.2
    assert max(row["fve"] for row in rows) < 0


def test_the_irrelevance_of_a_logit_clock_is_null_and_that_of_a_logit_pizza_zero():
    p = 13
    clock = snapshot_of_cube(build("x+y", p), clock_logits(p, {3: 5.0}))
    pizza = snapshot_of_cube(build("x+y", p), pizza_logits(p, {3: 5.0}))
    assert distance_irrelevance(clock) is None
    assert distance_irrelevance(pizza) == pytest.approx(0.0, abs=1e-12)


def test_without_natural_coordinates_only_the_gradients_are_left():
    task = gi.build_task(gi.TaskConfig(operation="x.y", group="S3"))
    config = TransformerConfig(d_model=8, n_heads=1, d_mlp=12)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    snapshot = Snapshot(task, weights, build_forward(config, task.layout, task.n_answers, dtype=torch.float64))
    (row,) = measured("clock_pizza", snapshot)
    assert row["distance_irrelevance"] is None
    assert -1 <= row["gradient_symmetricity"] <= 1
    assert measured("clock_pizza", snapshot, "circles") == []
