"""The claims of clock_pizza2023 on tables of networks whose circuit is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.clock_pizza2023 import claims, figures
from analyses.study import Study, publish

RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CHANGING = dict(zip(RATES, (0.99, 0.99, 0.98, 0.9, 0.6, 0.5), strict=True))
FLAT = dict.fromkeys(RATES, 0.99)
LINEAR = {rate: 0.99 - 0.49 * rate for rate in RATES}
HARDLY = {rate: 0.99 - 0.006 * rate**3 for rate in RATES}


def tables(
    symmetricity: dict[float, float], *, generalised: bool = True, spread: float = 0.0, untrained: dict | None = None
) -> dict:
    """Four networks a rate; irrelevance 1.2 - symmetricity; the first seed's symmetricity less by `spread`."""
    rows = []
    for rate, value in symmetricity.items():
        for seed in range(4):
            found = value + 0.001 * seed - (spread if seed == 0 else 0)
            row = {"attention_rate": rate, "seed": seed, "gradient_symmetricity": found, "circularity": 0.999}
            step = 300.0 if generalised else np.nan
            row |= {"distance_irrelevance": 1.2 - found, "generalization_step": step}
            start = 0.5 if untrained is None else untrained[rate]
            rows.append(row | {"gradient_symmetricity_untrained": start, "distance_irrelevance_untrained": 1.2 - start})
    return {"runs": pd.DataFrame(rows)}


def circles(fve: dict[float, dict[str, float]], *, generalised: bool = True, isolation: str = "frequency") -> dict:
    """Three seeds of two circles a rate, with these values of each formula."""
    rows = [
        {"attention_rate": rate, "seed": seed, "circle": k, "k": k, "formula": formula, "fve": value}
        for rate, values in fve.items()
        for formula, value in values.items()
        for seed in range(3)
        for k in (2, 5)
    ]
    more = {"generalised": generalised, "isolation": isolation, "circularity": 0.99}
    return {"circles": pd.DataFrame(rows).assign(**more)}


def without(table: dict, rate: float, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> dict:
    """These networks did not generalise."""
    runs = table["runs"]
    chosen = (runs["attention_rate"] == rate) & runs["seed"].isin(seeds)
    return {"runs": runs.assign(generalization_step=runs["generalization_step"].where(~chosen))}


@pytest.mark.parametrize("claim", [claims.symmetricity_falls, claims.irrelevance_rises])
def test_a_trend_holds_where_it_is_there_and_not_where_it_is_turned(claim):
    assert claim(tables(CHANGING), swing=0.2).holds is True
    rising = dict(zip(RATES, reversed(CHANGING.values()), strict=True))
    assert claim(tables(rising), swing=0.2).holds is False
    assert claim(tables(CHANGING, generalised=False), swing=0.2).holds is None
    assert claim(tables({0.0: 0.99}), swing=0.2).holds is None
    assert claim(without(tables(CHANGING), 1.0), swing=0.2).holds is None


@pytest.mark.parametrize("claim", [claims.symmetricity_falls, claims.irrelevance_rises])
def test_a_trend_is_none_where_it_is_tiny_or_where_untrained_networks_have_it(claim):
    assert claim(tables(HARDLY), swing=0.2).holds is False
    assert claim(tables(CHANGING, untrained=CHANGING), swing=0.2).holds is None


def test_the_trend_is_said_beside_the_seeds_noise_and_the_number_of_networks():
    found = claims.symmetricity_falls(without(tables(CHANGING), 0.4, seeds=(0,)), swing=0.2)
    sds = [np.std([0.0, 0.001, 0.002, 0.003], ddof=1)] * 5 + [np.std([0.001, 0.002, 0.003], ddof=1)]
    assert f"{0.49 / np.sqrt(np.mean(np.square(sds))):.1f} times" in found.note
    assert "23 of 24 networks generalised" in found.ours


def test_uniform_attention_is_judged_by_every_network_and_shown_beside_untrained_ones():
    found = claims.uniform_attention_is_symmetric(tables(FLAT), least=0.95)
    assert found.holds is True
    assert "0.500" in found.ours
    assert claims.uniform_attention_is_symmetric(tables(FLAT, spread=0.3), least=0.95).holds is False
    assert claims.uniform_attention_is_symmetric(tables({1.0: 0.5}), least=0.95).holds is None


def test_uniform_attention_is_not_judged_by_one_network_nor_where_untrained_ones_pass():
    one = without(tables(FLAT), 0.0, seeds=(1, 2, 3))
    assert claims.uniform_attention_is_symmetric(one, least=0.95).holds is None
    forced = tables(FLAT, untrained=dict.fromkeys(RATES, 0.97))
    assert claims.uniform_attention_is_symmetric(forced, least=0.95).holds is None


BINS = {"gradient_symmetricity": [[0.0, 0.4, 0.9915], [0.4, 0.8, 0.9415], [0.8, 1.0, 0.5515]]}


def test_published_means_count_networks_with_clean_circles_alone():
    found = tables(CHANGING)
    assert claims.published_numbers(found, circularity=0.995, expected=BINS, tolerance=0.001).holds is True
    wrong = {"gradient_symmetricity": [[0.0, 0.4, 0.5], *BINS["gradient_symmetricity"][1:]]}
    assert claims.published_numbers(found, circularity=0.995, expected=wrong, tolerance=0.05).holds is False
    found["runs"]["circularity"] = 0.9
    assert claims.published_numbers(found, circularity=0.995, expected=BINS, tolerance=0.05).holds is None


def test_published_means_are_told_only_where_every_bin_has_a_network():
    found = claims.published_numbers(tables({0.0: 0.99, 1.0: 0.55}), circularity=0.995, expected=BINS, tolerance=0.05)
    assert found.holds is None
    assert "0.4 to 0.8: none" in found.ours


CHANGE = {"rates": [0.4, 0.6, 0.8], "low": 0.5, "high": 0.8, "swing": 0.2, "begun": 0.25}


def test_the_change_lies_where_the_medians_cross_the_middle():
    found = claims.changes_between(tables(CHANGING), **CHANGE)
    crossing = 0.6 + 0.2 * (0.9 - 0.745) / (0.9 - 0.6)
    assert (found.holds, found.ours[:9]) == (True, f"at {crossing:.3f},")
    early = dict(zip(RATES, (0.99, 0.5, 0.5, 0.5, 0.5, 0.5), strict=True))
    assert claims.changes_between(tables(early), **CHANGE).holds is False
    assert claims.changes_between(tables({0.2: 0.99, 0.4: 0.9}), **CHANGE).holds is None


def test_the_change_is_told_only_where_networks_generalise_at_every_rate_around_it():
    assert claims.changes_between(tables({0.0: 0.99, 1.0: 0.5}), **CHANGE).holds is None
    assert claims.changes_between(without(tables(CHANGING), 0.6), **CHANGE).holds is None
    finer = without(tables(CHANGING | {0.7: 0.8}), 0.7)
    assert claims.changes_between(finer, **CHANGE).holds is None


@pytest.mark.parametrize("falling", [FLAT, HARDLY, LINEAR])
def test_networks_that_hardly_change_or_change_gradually_have_no_rate_of_change(falling):
    assert claims.changes_between(tables(falling), **CHANGE).holds is False


def test_a_change_that_begins_early_or_lies_at_the_lower_bound_is_another_one():
    begun = CHANGING | {0.4: 0.85}
    assert claims.changes_between(tables(begun), **CHANGE).holds is False
    bound = dict(zip(RATES, (0.99, 0.99, 0.99, 0.5, 0.5, 0.5), strict=True))
    assert claims.changes_between(tables(bound), **CHANGE).holds is False


PIZZA = {"clock": 0.8, "pizza": 0.98, "accompanying": 0.0}
ACCOMPANYING = {"clock": 0.1, "pizza": 0.0, "accompanying": 0.97}
CLOCK = {"clock": 0.98, "pizza": 0.8, "accompanying": 0.0}
NEITHER = {"clock": -1.02, "pizza": -1.0, "accompanying": -0.98}


@pytest.mark.parametrize(("fve", "holds"), [(PIZZA, True), (ACCOMPANYING, True), (CLOCK, False), (NEITHER, False)])
def test_a_circle_is_what_it_is_nearest_to_if_that_is_near(fve, holds):
    assert claims.circles_are_pizzas_without_attention(circles({0.0: fve}), least=0.5).holds is holds


def test_one_network_with_many_circles_does_not_speak_for_all():
    found = circles({0.0: CLOCK})["circles"]
    many = pd.concat([circles({0.0: PIZZA})["circles"].assign(circle=k) for k in range(10)])
    mixed = {"circles": pd.concat([found[found["seed"] > 0], many[many["seed"] == 0]])}
    answer = claims.circles_are_pizzas_without_attention(mixed, least=0.5)
    assert (answer.holds, "10 pizza" in answer.ours) == (False, True)
    alone = {"circles": many[many["seed"] == 0]}
    assert claims.circles_are_pizzas_without_attention(alone, least=0.5).holds is None


@pytest.mark.parametrize(
    ("fve", "holds"),
    [
        ({0.0: PIZZA, 1.0: CLOCK}, True),
        ({0.0: CLOCK, 1.0: CLOCK}, False),
        ({0.0: PIZZA, 1.0: PIZZA}, False),
        ({0.0: PIZZA, 1.0: {"clock": -0.9, "pizza": -1.0, "accompanying": -1.0}}, False),
        ({0.0: PIZZA}, None),
    ],
)
def test_clocks_with_attention_are_more_than_without(fve, holds):
    assert claims.circles_are_clocks_with_attention(circles(fve), least=0.5).holds is holds


def test_circles_of_networks_that_did_not_generalise_are_no_evidence():
    table = circles({0.0: PIZZA}, generalised=False)
    assert claims.circles_are_pizzas_without_attention(table, least=0.5).holds is None


LEVELS = {"circularity": 0.9, "expected": {"clock": 0.755, "pizza_abs": 0.983}, "tolerance": 0.05}


@pytest.mark.parametrize(
    ("fve", "isolation", "holds"),
    [
        ({"clock": 0.76, "pizza_abs": 0.97}, "components", True),
        ({"clock": 0.98, "pizza_abs": 0.8}, "components", False),
        ({"clock": 0.76, "pizza_abs": 0.97, "accompanying": 0.98}, "components", None),
        ({"clock": 0.76, "pizza_abs": 0.97}, "frequency", None),
    ],
)
def test_levels_are_those_of_pairs_of_components_that_accompany_no_other(fve, isolation, holds):
    table = circles({0.0: {"accompanying": 0.0} | fve}, isolation=isolation)
    assert claims.circle_levels(table, **LEVELS).holds is holds
    table["circles"]["circularity"] = 0.5
    assert claims.circle_levels(table, **LEVELS).holds is None


def test_seeds_differ_where_one_rate_has_both_algorithms():
    both = tables(CHANGING)
    runs = both["runs"]
    runs.loc[(runs["attention_rate"] == 0.6) & (runs["seed"] == 0), "gradient_symmetricity"] = 0.55
    answer = claims.seeds_differ(both, spread=0.2)
    assert (answer.holds, answer.ours.endswith("at 0.6")) == (True, True)
    assert claims.seeds_differ(tables(CHANGING, spread=0.1), spread=0.2).holds is False


def test_clocks_that_differ_among_themselves_are_no_other_algorithm():
    clocks = tables(CHANGING | {0.8: 0.657})
    runs = clocks["runs"]
    runs.loc[(runs["attention_rate"] == 0.8) & (runs["seed"] == 0), "gradient_symmetricity"] = 0.45
    assert claims.seeds_differ(clocks, spread=0.2).holds is False
    assert claims.seeds_differ(tables(FLAT), spread=0.2).holds is None
    assert claims.seeds_differ(tables({0.6: 0.9, 0.8: 0.6}), spread=0.2).holds is None


def test_formulas_are_drawn_by_what_is_judged():
    axis = figures.formulas(circles({0.0: NEITHER, 1.0: CLOCK})).axes[0]
    (line,) = [line for line in axis.get_lines() if line.get_label() == "clock, median"]
    assert line.get_ydata() == pytest.approx([-1.02, 0.98])


def test_networks_that_did_not_generalise_are_drawn_as_such():
    found = tables(CHANGING)
    found["runs"].loc[0, "generalization_step"] = np.nan
    figure = figures.plane(found)
    assert figures.OPEN in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.slow
def test_the_smoke_scale_runs_and_gives_no_verdict(tmp_path):
    import grokinterp as gi

    study = Study("clock_pizza2023", "smoke", tmp_path / "runs")
    assert not gi.sweep(study.recipes["rates"], study.folder("rates")).names("failed")
    assert publish(study, "analyses.clock_pizza2023", Path(tmp_path / "out"), fresh=True) == 0
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert (tmp_path / "out" / "plane.png").exists()
