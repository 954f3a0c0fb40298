import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import (
    build,
    clock_logits,
    grid,
    measured,
    one,
    pair_cross_entropy,
    pizza_logits,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.harmonics.cyclic import frequencies, sum_classes
from grokinterp.harmonics.keys import KeyFrequencies
from grokinterp.measures.registry import builtin_measures
from grokinterp.models.forward import build_forward
from grokinterp.models.transformer import load_hooked
from grokinterp.models.weights import init_weights, weight_specs
from grokinterp.phases import find_phases
from grokinterp.snapshots import Snapshot
from grokinterp.snapshots.ablation import (
    COMPONENTS,
    Bench,
    components_of,
    embedding_only,
    embedding_without,
    part_of,
    without_neurons,
)
from grokinterp.tables import check_rows

EVERY = {"control": False, "split": "all"}


def loss_of(cube: torch.Tensor, task=None) -> float:
    labels = sum_classes(cube.shape[0]) if task is None else torch.from_numpy(task.table)
    return float(pair_cross_entropy(cube, labels).mean())


def ablated(rows: list[dict], component: str, ablation: str, target: str, **more) -> dict:
    return one(rows, component=component, ablation=ablation, target=target, **{**EVERY, **more})


def network(operation: str = "x+y", p: int = 7, *, biased: bool = True, **model) -> Snapshot:
    """An untrained network, its biases drawn too, with a split."""
    task = build(operation, p)
    config = TransformerConfig(**{"d_model": 12, "n_heads": 3, "d_head": 4, "d_mlp": 20, "init_seed": 2, **model})
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    stream = torch.Generator().manual_seed(8)
    for name, spec in weight_specs(config, task.layout, task.n_answers).items():
        if biased and spec.bias:
            weights[name] = 0.3 * torch.randn(spec.shape, generator=stream, dtype=torch.float64)
    forward = build_forward(config, task.layout, task.n_answers, dtype=torch.float64)
    return Snapshot(task, weights, forward, gi.draw_train_mask(task, 0.5, 1))


def hooked_logits(snapshot: Snapshot, hooks: list, **model) -> torch.Tensor:
    """Logits of the defined pairs from a real HookedTransformer under hooks: the slow twin."""
    config = TransformerConfig(**{"d_model": 12, "n_heads": 3, "d_head": 4, "d_mlp": 20, "init_seed": 2, **model})
    hooked = load_hooked(config, snapshot.task.layout, snapshot.weights)
    tokens = torch.from_numpy(snapshot.task.layout.tokens(*snapshot.task.pairs()))
    with torch.no_grad():
        return hooked.run_with_hooks(tokens, fwd_hooks=hooks)[:, -1]


def score(snapshot: Snapshot, logits: torch.Tensor) -> tuple[float, float]:
    answer = torch.from_numpy(snapshot.task.table[snapshot.task.defined])
    hit = (logits.argmax(1) == answer).double().mean()
    return float(pair_cross_entropy(logits, answer).mean()), float(hit)


# Oracles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "k"), [(7, 2), (13, 5), (12, 5)])
def test_a_pizza_without_its_frequency_its_neurons_or_its_head_is_left_with_log_p(p, k):
    mask = gi.draw_train_mask(build("x+y", p), 0.4, 2)
    rows = measured("causal", pizza_snapshot(p, {k: 9.0}, mask), threshold=0.5)
    whole = loss_of(pizza_logits(p, {k: 9.0}))
    assert ablated(rows, "none", "none", "none")["loss"] == pytest.approx(whole)
    for keys in ("last", "own"):
        removed = ablated(rows, "embedding", "remove", "K", keys=keys)
        assert removed["loss"] == pytest.approx(math.log(p))
        assert removed["loss_increase"] == pytest.approx(math.log(p) - whole)
        assert removed["n_removed"] == 2
        assert ablated(rows, "embedding", "keep", "K", keys=keys)["loss"] == pytest.approx(whole)
    for kind in ("zero", "mean"):
        for target, more in (("k", {"k": k}), ("K", {"keys": "last"}), ("K", {"keys": "own"}), ("all", {})):
            row = ablated(rows, "neurons", kind, target, **more)
            assert row["loss"] == pytest.approx(math.log(p))
            assert row["n_removed"] == 2 * p
        assert ablated(rows, "head", kind, "head", block=0, head=0)["loss"] == pytest.approx(math.log(p))


@pytest.mark.parametrize("p", [7, 13])
def test_removing_another_frequency_changes_nothing_and_keeping_it_alone_leaves_log_p(p):
    rows = measured("causal", pizza_snapshot(p, {2: 9.0}))
    remove, keep = (ablated(rows, "embedding", kind, "K", control=True) for kind in ("remove", "keep"))
    assert remove["loss"] == pytest.approx(loss_of(pizza_logits(p, {2: 9.0})))
    assert remove["loss_increase"] == pytest.approx(0, abs=1e-12)
    assert keep["loss"] == pytest.approx(math.log(p))


def test_without_one_of_two_frequencies_it_is_the_pizza_of_the_other():
    p, amplitudes = 13, {2: 9.0, 5: 6.0}
    snapshot = pizza_snapshot(p, amplitudes)
    rows = measured("causal", snapshot, threshold=0.5)
    for k, other in ((2, 5), (5, 2)):
        left = loss_of(pizza_logits(p, {other: amplitudes[other]}))
        for kind in ("zero", "mean"):
            row = ablated(rows, "neurons", kind, "k", k=k)
            assert row["loss"] == pytest.approx(left)
            assert row["n_removed"] == 2 * p
        bench = Bench(snapshot)
        for edit, ks in ((embedding_without, (k,)), (embedding_only, (other,))):
            assert float(bench.score(bench.logits(edit(snapshot, ks)))[0, 0]) == pytest.approx(left)


def test_neurons_below_the_threshold_are_no_key_neurons_and_none_is_not_all():
    rows = measured("causal", pizza_snapshot(7, {2: 9.0}), threshold=1.0)
    for control in (False, True):
        row = ablated(rows, "neurons", "zero", "K", keys="last", control=control)
        assert (row["n_removed"], row["loss_increase"]) == (0, 0.0)
    assert ablated(rows, "neurons", "zero", "all")["loss"] == pytest.approx(math.log(7))


def test_small_losses_of_float32_logits_are_right_and_so_are_those_whose_exponential_runs_over():
    p = 13
    for amplitude in (30.0, 60.0, 3000.0):
        snapshot = snapshot_of_cube(build("x+y", p), clock_logits(p, {1: amplitude, 5: 1.0}))
        bench = Bench(snapshot)
        half = snapshot.logits.float().flatten(0, 1)
        loss, accuracy = bench.score(half)[0].tolist()
        assert accuracy == 1.0
        assert loss == pytest.approx(loss_of(clock_logits(p, {1: amplitude, 5: 1.0})), rel=1e-4, abs=1e-30)
        wrong = bench.score(-half)[0]
        assert float(wrong[0]) == pytest.approx(loss_of(-clock_logits(p, {1: amplitude, 5: 1.0})), rel=1e-5)
        assert float(wrong[1]) == 0.0


# Slow twins ----------------------------------------------------------------------------------


def remove_neurons(group, values):
    def hook(value, hook):
        value[..., group] = values
        return value

    return hook


@pytest.mark.parametrize("model", [{}, {"n_layers": 2}, {"normalization": "LN"}, {"activation": "gelu", "n_layers": 2}])
def test_ablated_neurons_are_those_that_a_hook_ablates(model):
    snapshot = network("x/y", **model)
    acts = snapshot.neuron_acts[snapshot.task.defined]
    groups = [torch.tensor([3, 17, 5]), torch.tensor([0, 11])]
    name = f"blocks.{snapshot.n_layers - 1}.mlp.hook_post"
    bench = Bench(snapshot)
    for group, both in zip([*groups, torch.cat(groups)], without_neurons(bench, groups), strict=True):
        for values, found in zip((0.0, acts.mean(0)[group]), both, strict=True):
            slow = hooked_logits(snapshot, [(name, remove_neurons(group, values))], **model)
            assert torch.allclose(found.double(), slow, atol=1e-5)
            assert bench.score(found)[0].tolist() == pytest.approx(score(snapshot, slow), rel=1e-5)


@pytest.mark.parametrize("model", [{}, {"n_layers": 2}, {"normalization": "LN"}])
@pytest.mark.parametrize("operation", ["x+y", "x/y"])
def test_ablated_heads_are_those_that_a_hook_ablates(operation, model):
    snapshot = network(operation, **model)
    rows = measured("causal", snapshot)
    kept = {}
    hooked_logits(snapshot, [("blocks.0.attn.hook_z", lambda z, hook: kept.update(z=z[:, -1].mean(0)))], **model)
    for block in range(snapshot.n_layers):
        for head in range(3):

            def at(value, head=head):
                def hook(z, hook):
                    z[:, :, head] = value
                    return z

                return hook

            found = ablated(rows, "head", "zero", "head", block=block, head=head)
            slow = hooked_logits(snapshot, [(f"blocks.{block}.attn.hook_z", at(0.0))], **model)
            assert (found["loss"], found["accuracy"]) == pytest.approx(score(snapshot, slow), rel=1e-5)
            means = [row for row in rows if row["head"] == head and row["ablation"] == "mean" and row["split"] == "all"]
            assert bool(means) == (model == {})
            for row in means:
                slow = hooked_logits(snapshot, [("blocks.0.attn.hook_z", at(kept["z"][head]))], **model)
                assert (row["loss"], row["accuracy"]) == pytest.approx(score(snapshot, slow), rel=1e-5)


@pytest.mark.parametrize(("operation", "p", "ks"), [("x+y", 7, (1, 3)), ("x-y", 12, (2, 6)), ("x*y", 7, (3,))])
def test_embedding_frequencies_are_projected_out_of_the_rows_in_natural_order(operation, p, ks):
    snapshot = network(operation, p)
    c, w_e = snapshot.task.coordinates, snapshot.weights["embed.W_E"]
    x = torch.arange(c.n, dtype=torch.float64)
    angles = [2 * math.pi * k * x / c.n for k in ks]
    waves = torch.stack([wave for angle in angles for wave in (angle.cos(), angle.sin())], dim=1)
    fitted = waves @ torch.linalg.lstsq(waves, w_e[c.left], driver="gelsd").solution
    without = embedding_without(snapshot, ks)["embed.W_E"]
    alone = embedding_only(snapshot, ks)["embed.W_E"]
    assert torch.allclose(without[c.left], w_e[c.left] - fitted)
    assert torch.allclose(alone[c.left], w_e[c.left].mean(0) + fitted)
    others = np.setdiff1d(np.arange(len(w_e)), c.left)
    assert len(others) >= 1  # '=' at least
    assert torch.equal(without[others], w_e[others])
    assert torch.equal(alone[others], w_e[others])
    rows = measured("causal", snapshot.with_keys(KeyFrequencies(ks, "given", 0.25)))
    size = sum(1 if 2 * k == c.n else 2 for k in ks)
    assert ablated(rows, "embedding", "remove", "K", keys="last")["n_removed"] == size
    assert ablated(rows, "embedding", "keep", "K", keys="last")["n_removed"] == c.n - 1 - size


# Controls, splits, nulls ---------------------------------------------------------------------


def test_each_control_has_the_size_of_what_it_controls_and_says_its_error():
    rows = measured("causal", pizza_snapshot(13, {2: 9.0, 5: 6.0}), threshold=0.5, n_draws=4)
    for row in rows:
        if row["control"] and row["component"] == "neurons":
            twin = {name: row[name] for name in ("component", "ablation", "target", "keys", "k")}
            assert row["n_removed"] == one(rows, **twin, **EVERY)["n_removed"] > 0
            assert row["n_draws"] == 4
            if row["target"] == "k":
                assert row["standard_error"] > 0
            else:  # K's neurons are all neurons here, whatever is drawn
                assert row["standard_error"] == pytest.approx(0, abs=1e-12)
        else:
            assert (row["n_draws"], row["standard_error"]) == (1, None)
    assert not [row for row in rows if row["control"] and row["component"] == "head"]  # there is only one head


def test_the_mean_over_draws_is_that_of_other_draws_within_its_error():
    snapshot = pizza_snapshot(7, {2: 9.0, 3: 6.0})
    cells = {"keys": "last", "control": True}
    found = [
        ablated(
            measured("causal", snapshot, threshold=0.5, n_draws=40, seed=seed), "neurons", "zero", "k", k=2, **cells
        )
        for seed in (0, 1)
    ]
    error = math.hypot(*(row["standard_error"] for row in found))
    assert 0 < abs(found[0]["loss"] - found[1]["loss"]) < 4 * error


def test_the_rows_of_each_split_are_means_over_its_pairs():
    snapshot = network("x/y", 7)
    rows = measured("causal", snapshot)
    mask = snapshot.train_mask
    n_train, n_all = mask.sum(), snapshot.task.defined.sum()
    for row in [row for row in rows if row["split"] == "all"]:
        what = {
            name: row[name] for name in ("component", "ablation", "target", "keys", "control", "k", "block", "head")
        }
        for column in ("loss", "accuracy", "loss_increase", "accuracy_change"):
            train, test = (one(rows, **what, split=split)[column] for split in ("train", "test"))
            assert row[column] == pytest.approx((n_train * train + (n_all - n_train) * test) / n_all)
    whole = one(rows, component="none", split="train")
    answer = torch.from_numpy(snapshot.task.table[mask])
    assert whole["loss"] == pytest.approx(float(pair_cross_entropy(snapshot.logits[mask], answer).mean()))
    assert whole["loss"] == pytest.approx(float(snapshot.loss_under({})))


def test_key_directions_of_an_untrained_network_matter_no_more_than_random_ones():
    snapshot = untrained("x+y", 13).with_keys(KeyFrequencies((2, 5), "given", 0.25))
    rows = measured("causal", snapshot)
    for kind in ("remove", "keep"):
        key, control = (ablated(rows, "embedding", kind, "K", keys="last", control=c) for c in (False, True))
        assert abs(key["loss_increase"] - control["loss_increase"]) < 0.1
        assert key["accuracy"] < 0.25


@pytest.mark.parametrize("operation", ["S3", "x*y"])
def test_without_natural_coordinates_heads_and_random_neurons_remain(operation):
    group = {"operation": "x.y", "group": "S3"} if operation == "S3" else {"operation": "x*y", "p": 12}
    task = gi.build_task(gi.TaskConfig(**group))
    config = TransformerConfig(d_model=8, n_heads=2, d_head=4, d_mlp=10)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    snapshot = Snapshot(task, weights, build_forward(config, task.layout, task.n_answers, dtype=torch.float64))
    rows = measured("causal", snapshot, n_draws=3)
    assert {(row["component"], row["target"], row["control"]) for row in rows} == {
        ("none", "none", False),
        ("neurons", "all", False),
        ("neurons", "half", True),
        ("head", "head", False),
        ("head", "head", True),
    }
    assert {(row["keys"], row["k"], row["split"]) for row in rows} == {(None, None, "all")}
    half = one(rows, component="neurons", ablation="zero", target="half")
    assert (half["n_removed"], half["n_draws"]) == (5, 3)
    assert measured("causal", snapshot, n_draws=3) == rows


# Transplants ---------------------------------------------------------------------------------


def run_of(memorised: Snapshot, grokked: Snapshot, *, grokked_at: int | None = 20) -> SimpleNamespace:
    """What the transplants read of a run: memorised at step 10, grokked at step 20."""
    rows = [
        {
            "step": step,
            "train_accuracy": float(step >= 10),
            "test_accuracy": float(grokked_at is not None and step >= grokked_at),
            "train_loss": 1.0,
            "test_loss": 1.0,
        }
        for step in range(0, 100, 10)
    ]
    return SimpleNamespace(phases=find_phases(rows), bare_snapshot={10: memorised, 20: grokked}.__getitem__)


def transplants(run, steps=(0, 10, 20, 50)) -> list[dict]:
    part = builtin_measures()["causal"].parts["transplant"]
    rows = part.compute(run, steps=list(steps), params={})
    check_rows(rows, part.all_columns)
    return rows


@pytest.mark.parametrize("p", [7, 12])
def test_a_pizza_with_the_embedding_of_another_reads_the_other_circle(p):
    first, second, amplitude = 1, 5 if p == 12 else 3, 9.0
    rows = transplants(run_of(pizza_snapshot(p, {first: amplitude}), pizza_snapshot(p, {second: amplitude})))
    a, b, c = grid(p)
    for receiver, donor, mine, other in (
        ("memorised", "grokked", first, second),
        ("grokked", "memorised", second, first),
    ):
        turned = torch.cos(2 * math.pi * (other * (a + b) - mine * c) / p)
        hybrid = loss_of(amplitude * torch.cos(math.pi * other * (a - b) / p).abs() * turned)
        flipped = torch.cos(2 * math.pi * (mine * (a + b) - other * c) / p)
        with_mlp = loss_of(amplitude * torch.cos(math.pi * mine * (a - b) / p).abs() * flipped)
        whole = loss_of(pizza_logits(p, {mine: amplitude}))
        expected = {"none": whole, "embedding": hybrid, "attention": whole, "mlp": with_mlp, "unembedding": whole}
        for component, loss in expected.items():
            row = one(rows, receiver=receiver, component=component, split="all")
            assert row["loss"] == pytest.approx(loss)
            assert row["loss_increase"] == pytest.approx(loss - whole, abs=1e-12)
            assert row["donor"] == donor
            assert (row["step"], row["donor_step"]) == ((10, 20) if receiver == "memorised" else (20, 10))


def test_a_hybrid_has_the_donors_weights_of_one_component_and_no_other():
    first, second = network("x/y", 7), network("x/y", 7, init_seed=9)
    rows = transplants(run_of(first, second))
    groups = {"embedding": ("embed.W_E", "pos"), "attention": (".attn",), "mlp": (".mlp",), "unembedding": ("unembed",)}
    for component, names in groups.items():
        taken = {n: w for n, w in second.weights.items() if any(x in n for x in names) and not n.startswith("un")}
        if component == "unembedding":
            taken = {n: w for n, w in second.weights.items() if n.startswith("unembed")}
        hybrid = first.with_weights(taken)
        expected = score(hybrid, hybrid.logits[hybrid.task.defined])
        row = one(rows, receiver="memorised", component=component, split="all")
        assert (row["loss"], row["accuracy"]) == pytest.approx(expected, rel=1e-5)
        assert {r["split"] for r in rows} == {"all", "train", "test"}


def test_every_weight_is_in_exactly_one_component():
    config = TransformerConfig(d_model=8, n_heads=2, d_mlp=8, n_layers=2, normalization="LN")
    weights = init_weights(config, build("x+y", 5).layout, 5)
    parts = [part_of(weights, component) for component in components_of(weights)]
    assert sorted(name for part in parts for name in part) == sorted(weights)
    assert components_of(weights) == [component for component in COMPONENTS if component != "lstm"]
    assert part_of(weights, "none") == {}


def test_there_is_nothing_to_transplant_without_two_events_at_two_checkpoints():
    run = run_of(network(), network(init_seed=3))
    assert transplants(run, steps=(0, 20, 50)) == []  # both events first seen at step 20
    assert transplants(run_of(network(), network(), grokked_at=None)) == []


def test_frequencies_that_are_all_key_leave_nothing_to_the_control():
    snapshot = network("x+y", 5).with_keys(KeyFrequencies(tuple(frequencies(5)), "given", 0.25))
    rows = measured("causal", snapshot)
    key, control = (ablated(rows, "embedding", "remove", "K", keys="last", control=c) for c in (False, True))
    assert control["n_removed"] == 0 < key["n_removed"]
    assert control["loss_increase"] == pytest.approx(0, abs=1e-6)
    assert ablated(rows, "embedding", "keep", "K", keys="last")["loss_increase"] == pytest.approx(0, abs=1e-6)
