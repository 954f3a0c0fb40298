"""Verdicts come from tables, never from smoke, and never from nothing; medians count censored runs."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analyses import study as engine
from analyses.judging import interval, smallest_fraction
from analyses.rows import median_steps, thinned
from analyses.study import Answer, Study


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """`judge` over one entry and one claim."""

    def judge(answer, scale="bench", scales=("bench",)):
        folder = tmp_path / "paper"
        folder.mkdir(exist_ok=True)
        entry = {"id": "it", "claim": "c", "paper": "p", "source": "s", "scales": list(scales), "factor": 2}
        (folder / "expected.json").write_text(json.dumps([entry]))

        monkeypatch.setattr(engine, "HERE", tmp_path)
        monkeypatch.setattr(engine.importlib, "import_module", lambda _: SimpleNamespace(CLAIMS={"it": answer}))
        return engine.judge(Study("paper", scale, tmp_path), "x", {}).iloc[0]

    return judge


@pytest.mark.parametrize(
    ("holds", "verdict"), [(True, "holds"), (False, "does not hold"), (None, "not tested at this scale")]
)
def test_a_verdict_is_what_the_claim_finds(judged, holds, verdict):
    row = judged(lambda tables, *, factor: Answer(f"seen {factor}", holds))
    assert (row["ours"], row["verdict"]) == ("seen 2", verdict)


def test_no_verdict_comes_from_a_scale_that_the_entry_does_not_name(judged):
    def never(tables, **_):
        raise AssertionError

    assert judged(never, scale="smoke")["verdict"] == "not tested at this scale"


def test_a_table_that_is_missing_is_no_verdict(judged):
    row = judged(lambda tables, *, factor: Answer("", tables["none"] is None))
    assert row["verdict"] == "not tested at this scale"
    assert "none" in row["note"]


def test_the_median_counts_runs_that_never_got_there():
    table = pd.DataFrame(
        {"frac_train": [0.3] * 3, "generalization_step": [100, np.nan, np.nan], "last_step": [150, 900, 900]}
    )
    row = median_steps(table, "generalization_step").iloc[0]
    assert (row["n"], row["n_observed"]) == (3, 1)
    assert row["median"] is None or math.isnan(row["median"])
    table.loc[1, "generalization_step"] = 400.0
    assert median_steps(table, "generalization_step").iloc[0]["median"] == 400


def test_thinning_keeps_the_ends_and_few_points_between():
    steps = np.arange(0, 100_001, 25)
    kept = thinned(steps, 50)
    assert (kept[0], kept[-1]) == (0, len(steps) - 1)
    assert len(kept) <= 53
    assert (np.diff(kept) > 0).all()
    assert list(thinned(np.arange(5), 50)) == [0, 1, 2, 3, 4]


def test_the_smallest_share_is_that_whose_median_seed_is_accurate():
    table = pd.DataFrame({"frac_train": [0.3] * 3 + [0.5] * 3, "best_test_accuracy": [1, 0.5, 0.5, 1, 1, 0.2]})
    assert smallest_fraction(table) == 0.5
    assert smallest_fraction(table[table["frac_train"] == 0.3]) == math.inf


def test_rho_of_a_falling_line_is_minus_one_and_of_noise_is_not_significant():
    x = np.arange(30.0)
    assert interval(x, -x)[0] == pytest.approx(-1)
    rng = np.random.default_rng(0)
    rho, low, high = interval(rng.normal(size=30), rng.normal(size=30), n_resamples=500)
    assert low < rho < high
    assert low < 0 < high
