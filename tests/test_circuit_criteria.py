"""The set of claims about the circuit: true of a network that grokked, false at init and for shuffled labels."""

import pytest
from conftest import small_config

import grokinterp as gi
from analyses.circuit_criteria.criteria import MEASURES, criteria, lead
from analyses.circuit_criteria.null import train_on_shuffled_labels


def holding(run: gi.Run, step: int) -> dict[str, bool]:
    return {row.claim: row.holds for row in criteria(run, step, fve=0.9)}


def test_a_small_network_that_grokked_has_the_circuit_but_for_the_variance_explained(grokked_run):
    """At p = 31, 1,200 steps, the cosines explain a little less than the 0.90 asked of the quick preset."""
    found = holding(grokked_run, grokked_run.steps[-1])
    assert [claim for claim, holds in found.items() if not holds] in ([], ["cosine FVE of the logits >= 0.9"])
    assert len(found) == 6


@pytest.mark.slow
def test_the_quick_preset_has_the_circuit(tmp_path):
    run = gi.train(gi.presets.quick(), tmp_path / "quick", show_progress=False)
    gi.analyze(run, MEASURES, every=1000, show_progress=False)
    found = holding(run, run.steps[-1])
    # So early, how many neurons are pure depends on rounding (0.797 with one thread, 0.797 with two, 0.846 with AVX2):
    # neurons that hold none of the energy are counted too. The share of the energy in pure neurons does not (0.99).
    assert [claim for claim, holds in found.items() if not holds] in (
        [],
        ["80 % of neurons with 85 % in one frequency"],
    )
    neurons = run.table("neuron_frequencies")
    last = neurons[(neurons["k"] == 0) & (neurons["step"] == run.steps[-1])].iloc[0]
    assert last["energy_share"] > 0.95
    assert last["share"] > 0.7
    assert not all(holding(run, 0).values())


def test_the_set_does_not_hold_at_initialisation(grokked_run):
    assert not all(holding(grokked_run, 0).values())


def test_the_restricted_loss_leads_the_test_accuracy(grokked_run):
    found = lead(grokked_run)
    assert found["lead_half_accuracy_low"] <= found["lead_half_accuracy"] <= found["lead_half_accuracy_high"]
    assert found["lead_half_accuracy"] > 0


@pytest.fixture(scope="module")
def memorised(tmp_path_factory) -> gi.Run:
    config = small_config(
        task={"p": 31, "frac_train": 0.6},
        model={"d_model": 64, "n_heads": 4, "d_mlp": 256},
        optimizer={"lr": 5e-3, "weight_decay": 0.5},
    )
    run = train_on_shuffled_labels(config, tmp_path_factory.mktemp("null") / "run", steps=300, every=100)
    assert run.metrics["train_accuracy"].iloc[-1] > 0.9
    assert not gi.analyze(run, MEASURES, show_progress=False).failed
    return run


def test_a_network_that_memorised_shuffled_labels_does_not_have_it(memorised):
    found = holding(memorised, memorised.steps[-1])
    assert sum(found.values()) <= 2
