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


def tables(symmetricity: dict[float, float], *, generalised: bool = True, spread: float = 0.0) -> dict:
    """Four networks a rate; irrelevance 1.2 - symmetricity; the first seed's symmetricity less by `spread`."""
    rows = []
    for rate, value in symmetricity.items():
        for seed in range(4):
            found = value + 0.001 * seed - (spread if seed == 0 else 0)
            row = {"attention_rate": rate, "seed": seed, "gradient_symmetricity": found, "circularity": 0.999}
            step = 300.0 if generalised else np.nan
            row |= {"distance_irrelevance": 1.2 - found, "generalization_step": step}
            rows.append(row | {"gradient_symmetricity_untrained": 0.5, "distance_irrelevance_untrained": 0.9})
    return {"runs": pd.DataFrame(rows)}


def circles(fve: dict[float, dict[str, float]], *, generalised: bool = True) -> dict:
    """Three seeds of two circles a rate, with these values of each formula."""
    rows = [
        {"attention_rate": rate, "seed": seed, "k": k, "formula": formula, "fve": value, "generalised": generalised}
        for rate, values in fve.items()
        for formula, value in values.items()
        for seed in range(3)
        for k in (2, 5)
    ]
    return {"circles": pd.DataFrame(rows)}


@pytest.mark.parametrize("claim", [claims.symmetricity_falls, claims.irrelevance_rises])
def test_a_trend_holds_where_it_is_there_and_not_where_it_is_turned(claim):
    assert claim(tables(CHANGING)).holds is True
    rising = dict(zip(RATES, reversed(CHANGING.values()), strict=True))
    assert claim(tables(rising)).holds is False
    assert claim(tables(CHANGING, generalised=False)).holds is None
    assert claim(tables({0.0: 0.99})).holds is None


def test_the_trend_is_said_beside_the_seeds_noise():
    found = claims.symmetricity_falls(tables(CHANGING))
    sd = np.std([0.0, 0.001, 0.002, 0.003], ddof=1)
    assert f"{0.49 / sd:.1f} times" in found.note


def test_uniform_attention_is_judged_by_every_network_and_shown_beside_untrained_ones():
    found = claims.uniform_attention_is_symmetric(tables(FLAT), least=0.95)
    assert found.holds is True
    assert "0.500" in found.note
    assert claims.uniform_attention_is_symmetric(tables(FLAT, spread=0.3), least=0.95).holds is False
    assert claims.uniform_attention_is_symmetric(tables({1.0: 0.5}), least=0.95).holds is None


def test_published_medians_count_networks_with_clean_circles_alone():
    expected = {"gradient_symmetricity": [[0.0, 0.05, 0.99], [0.95, 1.0, 0.5]]}
    found = tables(CHANGING)
    assert claims.published_numbers(found, circularity=0.995, expected=expected, tolerance=0.05).holds is True
    wrong = {"gradient_symmetricity": [[0.0, 0.05, 0.5]]}
    assert claims.published_numbers(found, circularity=0.995, expected=wrong, tolerance=0.05).holds is False
    found["runs"]["circularity"] = 0.9
    assert claims.published_numbers(found, circularity=0.995, expected=expected, tolerance=0.05).holds is None


def test_the_change_lies_where_the_medians_cross_the_middle():
    found = claims.changes_between(tables(CHANGING), low=0.5, high=0.8)
    crossing = 0.6 + 0.2 * (0.9 - 0.745) / (0.9 - 0.6)
    assert (found.holds, found.ours[:8]) == (True, f"at {crossing:.2f};")
    early = dict(zip(RATES, (0.99, 0.5, 0.5, 0.5, 0.5, 0.5), strict=True))
    assert claims.changes_between(tables(early), low=0.5, high=0.8).holds is False
    assert claims.changes_between(tables({0.2: 0.99, 0.4: 0.9}), low=0.5, high=0.8).holds is None


def test_networks_whose_symmetricity_does_not_fall_have_no_rate_of_change():
    assert claims.changes_between(tables(FLAT), low=0.5, high=0.8).holds is False


PIZZA = {"clock": 0.8, "pizza": 0.98, "accompanying": 0.0}
ACCOMPANYING = {"clock": 0.1, "pizza": 0.0, "accompanying": 0.97}
CLOCK = {"clock": 0.98, "pizza": 0.8, "accompanying": 0.0}


@pytest.mark.parametrize(("fve", "holds"), [(PIZZA, True), (ACCOMPANYING, True), (CLOCK, False)])
def test_a_circle_is_what_it_is_nearest_to(fve, holds):
    assert claims.circles_are_pizzas_without_attention(circles({0.0: fve})).holds is holds


def test_clocks_with_attention_are_more_than_without():
    assert claims.circles_are_clocks_with_attention(circles({0.0: PIZZA, 1.0: CLOCK})).holds is True
    assert claims.circles_are_clocks_with_attention(circles({0.0: CLOCK, 1.0: CLOCK})).holds is False
    assert claims.circles_are_clocks_with_attention(circles({0.0: PIZZA, 1.0: PIZZA})).holds is False
    assert claims.circles_are_clocks_with_attention(circles({0.0: PIZZA})).holds is None


def test_circles_of_networks_that_did_not_generalise_are_no_evidence():
    assert claims.circles_are_pizzas_without_attention(circles({0.0: PIZZA}, generalised=False)).holds is None


@pytest.mark.parametrize(("spread", "holds"), [(0.3, True), (0.1, False)])
def test_seeds_differ_where_one_is_far_from_the_others(spread, holds):
    assert claims.seeds_differ(tables(CHANGING, spread=spread), spread=0.2).holds is holds


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
