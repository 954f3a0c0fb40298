"""The claims of universality2023 on tables of networks whose irreps are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.study import Study, publish
from analyses.universality2023 import claims, figures
from analyses.universality2023.tables import _largest
from grokinterp.harmonics.groups import parities, parse_group, symmetric_group

S5 = {"[4,1]": 4, "[3,2]": 5, "[3,1^2]": 6, "[2^2,1]": 5, "[2,1^3]": 4, "[1^5]": 1}
BASE = {
    **{"logit_share": 0.6, "logit_share_start": 1e-6, "order": 120, "n_irreps": 6, "embedding_in_learned": 0.99},
    "unembedding_in_learned": 0.94,
    **{"full_loss": 1e-3, "restricted_loss": 1e-4, "excluded_loss": 9.0, "excluded_loss_random": 1e-2},
}


def network(variant: str = "mlp_S5", seed: int = 0, **values) -> dict:
    kind, _, group = variant.partition("_")
    about = {"variant": variant, "kind": kind, "group": group, "seed": seed, "run": f"{variant}-seed{seed}"}
    return {**about, "generalization_step": 500.0, "n_learned": 3, **BASE, **values}


def networks(*rows: dict) -> dict:
    return {"networks": pd.DataFrame(rows)}


def learned(*sets: tuple[str, ...], variant: str = "mlp_S5") -> dict:
    """A network a set, which learned its irreps in this order, 100 steps apart."""
    found = [network(variant, seed) for seed in range(len(sets))]
    rows = [
        {**{key: found[seed][key] for key in ("variant", "kind", "group", "seed")}, "irrep": name, "dimension": size}
        | {"learned": name in names, "first_step": 100.0 * names.index(name) if name in names else np.nan}
        for seed, names in enumerate(sets)
        for name, size in S5.items()
    ]
    return networks(*found) | {"irreps": pd.DataFrame(rows)}


def test_characters_explain_where_every_network_is_far_above_its_start():
    assert claims.characters_explain_logits(networks(network()), factor=1000).holds is True
    weak = networks(network(), network(seed=1, logit_share=1e-5))
    assert claims.characters_explain_logits(weak, factor=1000).holds is False
    assert claims.characters_explain_logits(networks(network(generalization_step=np.nan)), factor=1000).holds is None


@pytest.mark.parametrize(("cyclic", "holds"), [(0.95, True), (0.5, False)])
def test_the_cyclic_group_is_compared_within_an_architecture(cyclic, holds):
    mlps = network(), network("mlp_C47", logit_share=cyclic)
    others = network("transformer_S5", logit_share=0.8), network("transformer_C47", logit_share=0.99)
    assert claims.cyclic_is_explained_best(networks(*mlps, *others)).holds is holds
    assert claims.cyclic_is_explained_best(networks(*mlps, others[0])).holds is None
    assert claims.cyclic_is_explained_best(networks(network())).holds is None


def test_published_shares_are_compared_where_they_are_known():
    found = networks(network(logit_share=0.62), network("mlp_S4", logit_share=0.1))
    assert claims.published_share(found, expected={"mlp_S5": 0.6}, tolerance=0.1).holds is True
    assert claims.published_share(found, expected={"mlp_S5": 0.9}, tolerance=0.1).holds is False
    assert claims.published_share(found, expected={"mlp_A5": 0.9}, tolerance=0.1).holds is None


@pytest.mark.parametrize(
    ("losses", "holds"),
    [
        ({}, True),
        ({"excluded_loss_random": np.nan}, None),
        ({"restricted_loss": 1.0}, False),
        ({"excluded_loss": 2.0}, False),
        ({"excluded_loss_random": 9.0}, False),
    ],
)
def test_key_irreps_carry_the_answer_where_they_alone_do(losses, holds):
    assert claims.key_irreps_carry_the_answer(networks(network(**losses))).holds is holds


def test_the_embedding_is_judged_by_each_variants_median():
    good = networks(network(), network(seed=1), network(seed=2, embedding_in_learned=0.1))
    assert claims.embedding_is_in_their_span(good, share=0.9).holds is True
    bad = networks(network(), network("mlp_A5", embedding_in_learned=0.5))
    assert claims.embedding_is_in_their_span(bad, share=0.9).holds is False


@pytest.mark.parametrize(("share", "holds"), [(0.94, True), (0.5, False)])
def test_the_unembedding_is_judged_on_s5_alone(share, holds):
    found = networks(network(unembedding_in_learned=share), network("mlp_A5", unembedding_in_learned=0.2))
    assert claims.unembedding_is_in_their_span(found, share=0.9).holds is holds
    assert claims.unembedding_is_in_their_span(networks(network("mlp_A5")), share=0.9).holds is None


def test_sets_differ_where_seeds_learn_other_irreps():
    same, other = ("[1^5]", "[4,1]"), ("[1^5]", "[2,1^3]")
    assert claims.seeds_learn_different_sets(learned(same, other)).holds is True
    assert claims.seeds_learn_different_sets(learned(same, tuple(reversed(same)))).holds is False
    assert claims.seeds_learn_different_sets(learned(same)).holds is None


def test_orders_differ_where_another_irrep_is_first():
    one, turned = ("[1^5]", "[4,1]"), ("[4,1]", "[1^5]")
    assert claims.order_differs(learned(one, turned)).holds is True
    assert claims.order_differs(learned(one, one)).holds is False
    assert claims.order_differs(learned(one, ("[4,1]",))).holds is None  # of one irrep there is no order


def test_irreps_that_come_up_between_two_checkpoints_are_in_no_order():
    found = learned(("[1^5]", "[4,1]"), ("[1^5]", "[4,1]"))
    rows = found["irreps"]
    rows.loc[(rows["seed"] == 0) & rows["learned"], "first_step"] = 0.0
    assert claims.order_differs(found).holds is False


def test_an_order_is_read_from_what_is_kept():
    found = learned(("[1^5]", "[4,1]"), ("[1^5]", "[4,1]"))
    rows = found["irreps"]
    rows.loc[(rows["seed"] == 0) & (rows["irrep"] == "[3,2]"), "first_step"] = 0.0  # learned early, and lost
    rows.loc[rows["irrep"] == "[1^5]", "first_step"] = 50.0
    assert claims.order_differs(found).holds is False


@pytest.mark.parametrize(
    ("names", "holds"), [(("[1^5]", "[2,1^3]"), True), (("[1^5]", "[3,2]"), False), (("[4,1]",), False)]
)
def test_sign_and_a_standard_irrep_must_be_in_every_network(names, holds):
    assert claims.sign_and_standard(learned(("[1^5]", "[4,1]"), names)).holds is holds


def test_simpler_irreps_are_compared_with_all_of_the_group():
    simple, hard = ("[1^5]", "[4,1]"), ("[3,1^2]", "[3,2]")
    assert claims.simpler_more_often(learned(*[simple, (*simple, "[2,1^3]")] * 4)).holds is True
    assert claims.simpler_more_often(learned(*[hard, (*hard, "[2^2,1]")] * 4)).holds is False
    assert claims.simpler_more_often(learned(simple)).holds is None
    assert claims.simpler_more_often(learned(*[tuple(S5)] * 8)).holds is None  # all of them: no choice


@pytest.mark.parametrize(("n", "holds"), [(2, True), (3, False)])
def test_architectures_are_compared_on_groups_that_both_learned(n, holds):
    others = network("mlp_A5", n_learned=2), network("transformer_A5", n_learned=2), network("mlp_S4", n_learned=1)
    found = networks(network(), network("transformer_S5", n_learned=n), *others)
    assert claims.mlp_learns_more(found).holds is holds
    assert claims.mlp_learns_more(networks(network())).holds is None


@pytest.mark.parametrize(("counts", "holds"), [((0, 100), True), ((60, 40), False)])
def test_neurons_on_small_subgroups_are_not_counted(counts, holds):
    rows = [
        {"variant": "mlp_S5", "seed": 0, "group": "S5", "subgroup_order": order, "n_neurons": n, "n_null": null}
        for order, n, null in ((0, 0, 100), (2, counts[0], 0), (24, counts[1], 0))
    ]
    rows += [row | {"variant": "transformer_S5", "n_neurons": 500 * (row["subgroup_order"] == 2)} for row in rows]
    kinds = pd.DataFrame(rows).assign(kind=lambda table: table["variant"].str.split("_").str[0])
    found = networks(network(), network("transformer_S5")) | {"cosets": kinds}
    assert claims.neurons_sit_on_cosets(found, share=0.5, orders=[24, 20, 60]).holds is holds


def test_the_largest_subgroup_is_found_for_functions_that_are_constant_on_its_cosets():
    group = parse_group("S4")
    rng = np.random.default_rng(0)
    parity = parities(symmetric_group(4)).astype(float)
    fixes_the_last = (symmetric_group(4)[:, 3] == 3).astype(float)  # a coset of S3
    values = np.stack([parity, fixes_the_last, rng.normal(size=24)], axis=1)
    assert _largest(group, values).tolist() == [12, 6, 0]


def test_a_seed_that_did_not_generalise_is_marked_in_its_row():
    found = learned(("[1^5]",), ("[1^5]", "[4,1]"))
    found["irreps"] = found["irreps"].assign(logit_share=0.1)
    found["networks"].loc[1, "generalization_step"] = np.nan
    figure = figures.representations(found)
    assert [text.get_text() for text in figure.axes[0].texts] == ["x"]


@pytest.mark.slow
def test_the_smoke_scale_runs_and_gives_no_verdict(tmp_path):
    import grokinterp as gi

    study = Study("universality2023", "smoke", tmp_path / "runs")
    for name, recipe in study.recipes.items():
        assert not gi.sweep(recipe, study.folder(name)).names("failed")
    assert publish(study, "analyses.universality2023", Path(tmp_path / "out"), fresh=True) == 0
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert (tmp_path / "out" / "representations.png").exists()
