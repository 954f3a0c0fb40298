"""The claims of mirage2023 on tables whose transitions are known."""

import pandas as pd
import pytest

from analyses.mirage2023 import claims

SCORES = ("accuracy", "accuracy_power_2", "accuracy_power_10", *claims.CONTINUOUS)


def tables(widths: dict[str, float], midpoint: float = 1000.0, memorised: float = 100.0) -> dict[str, pd.DataFrame]:
    """Eight runs, half of them of x+y, each with these widths relative to accuracy's of 400 steps."""
    runs, transitions = [], []
    for variant, operation in (("x+y_40", "x+y mod 47"), ("x-y_60", "x-y mod 47")):
        for seed in range(4):
            runs.append({"variant": variant, "seed": seed, "operation": operation, "memorization_step": memorised})
            for score in SCORES:
                ratio = widths.get(score, 1.0) * (1 + 0.01 * seed)
                row = {"metric": score, "width_ratio": ratio, "width_steps": 400 * ratio, "midpoint": midpoint}
                transitions.append({"variant": variant, "seed": seed, **row})
    return {"runs": pd.DataFrame(runs), "transitions": pd.DataFrame(transitions)}


def test_scores_as_wide_as_accuracy_speak_against_an_artefact_and_wide_ones_for_it():
    assert not claims.accuracy_exaggerates(tables({}), factor=3.0).holds
    wide = dict.fromkeys(claims.CONTINUOUS, 4.0)
    assert claims.accuracy_exaggerates(tables(wide), factor=3.0).holds
    assert not claims.accuracy_exaggerates(tables(wide | {"rank": 1.0}), factor=3.0).holds


@pytest.mark.parametrize(("width", "holds"), [(0.72, True), (1.1, False), (0.3, False)])
def test_the_control_is_as_sharp_as_a_logistic_curve_makes_it(width, holds):
    found = claims.control_is_sharper(tables({"accuracy_power_10": width}), expected=0.727, tolerance=0.15)
    assert found.holds is holds


def test_the_control_is_judged_where_no_mirrored_pair_is_trained_on():
    found = tables({"accuracy_power_10": 0.72})
    of_addition = found["transitions"]["variant"] == "x+y_40"
    found["transitions"].loc[of_addition, "width_ratio"] = 0.1
    assert claims.control_is_sharper(found, expected=0.727, tolerance=0.15).holds


@pytest.mark.parametrize(("midpoint", "holds"), [(1000.0, True), (200.0, False)])
def test_a_transition_is_sharp_on_the_run_where_it_is_narrower_than_its_midpoint(midpoint, holds):
    assert claims.sharp_on_the_run(tables({}, midpoint=midpoint), share=1.0).holds is holds


@pytest.mark.parametrize(("memorised", "holds"), [(100.0, True), (900.0, False)])
def test_the_delay_is_read_from_every_score(memorised, holds):
    assert claims.delay_survives(tables({}, memorised=memorised)).holds is holds
