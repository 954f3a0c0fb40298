"""Everything with everything, pairwise: it trains, is stopped, goes on to the same bytes, and is analyzed.

Each value of each factor meets each value of every other one in some row, but for the combinations that a
config refuses. A few rows run each time, all of them in the slow tests.
"""

import itertools
from pathlib import Path

import pytest
from pairwise import pairwise

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.overrides import override
from grokinterp.training.loop import Trainer

OPERATIONS = {
    "x+y": {"p": 11},
    "x-y": {"p": 12, "operation": "x-y"},
    "x*y": {"p": 11, "operation": "x*y"},
    "x/y": {"p": 9, "operation": "x/y"},
    "mixed": {"p": 11, "operation": "mixed"},
    "x^2+xy+y^2+x": {"p": 11, "operation": "x^2+xy+y^2+x"},
    "x^3+xy^2+y": {"p": 10, "operation": "x^3+xy^2+y"},
    "x+y+z": {"p": 5, "operation": "x+y+z"},
    "x+y+z+w": {"p": 3, "operation": "x+y+z+w"},
    "x.y in S4": {"operation": "x.y", "group": "S4", "p": None},
    "x.y in D5": {"operation": "x.y", "group": "D5", "p": None},
    "x.y in C2xA4": {"operation": "x.y", "group": "C2xA4", "p": None},
    "x.y.x^-1 in S3": {"operation": "x.y.x^-1", "group": "S3", "p": None},
    "x.y.x in A4": {"operation": "x.y.x", "group": "A4", "p": None},
    "custom": {"operation": "custom", "p": None, "table": [[max(x, y) for y in range(8)] for x in range(8)]},
}
SMALL = {"d_model": 16, "n_heads": 2, "d_mlp": 20}
ARCHITECTURES = {
    "transformer": {**SMALL},
    "transformer, 2 layers, biases": {**SMALL, "n_layers": 2, "biases": "all", "init": "nanda", "init_scale": 0.5},
    "transformer, LayerNorm, gelu": {**SMALL, "normalization": "LN", "activation": "gelu", "biases": "mlp"},
    "transformer, post-LN": {**SMALL, "normalization": "post-LN"},
    "transformer, half uniform attention": {**SMALL, "attention_rate": 0.5, "causal": False},
    "mlp, one-hot": {"kind": "mlp", "n_layers": 1, "d_hidden": 20},
    "mlp, embedding, square": {
        "kind": "mlp",
        "input": "embedding",
        "d_model": 8,
        "d_hidden": 20,
        "activation": "square",
    },
    "mlp, a table each": {"kind": "mlp", "n_layers": 1, "input": "separate", "d_model": 8, "d_hidden": 20},
    "mlp, three layers, no biases": {"kind": "mlp", "n_layers": 3, "d_hidden": 20, "biases": "none"},
    "lstm": {"kind": "lstm", "d_hidden": 12, "d_model": 8},
    "lstm, 2 layers": {"kind": "lstm", "n_layers": 2, "d_hidden": 10, "d_model": 8, "biases": "none"},
}
LAYOUTS = {name: {"layout": name} for name in ("a b =", "a op b =", "a b", "EOS a op b =")}
OPTIMIZERS = {
    "adamw": {"lr": 3e-3},
    "adamw to init": {"lr": 3e-3, "decay_to": "init"},
    "adam, cosine": {"name": "adam", "lr": 3e-3, "schedule": "cosine"},
    "sgd, momentum": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-3},
    "muon": {"name": "muon", "lr": 3e-3, "weight_decay": 0.1},
}
REGULARIZERS = {
    "none": {},
    "dropout": {"dropout": 0.1},
    "weight noise": {"weight_noise": 0.01},
    "update noise": {"update_noise": 0.1},
    "sam": {"sam_rho": 0.05},
    "orthogonal gradient": {"orthogonal_gradient": True},
    "grokfast ema": {"grokfast": "ema"},
    "grokfast ma": {"grokfast": "ma", "grokfast_window": 5},
    "fixed norm": {"norm": "initial"},
    "several": {
        "weight_noise": 0.01,
        "sam_rho": 0.05,
        "orthogonal_gradient": True,
        "grokfast": "ema",
        "norm": "initial",
    },
}
LOSSES = {
    "cross-entropy": {},
    "cross-entropy, float32": {"loss_dtype": "float32"},
    "stablemax": {"loss": "stablemax"},
    "mse": {"loss": "mse"},
    "sequence": {"loss_on": "sequence"},
}
BATCHES = {"full": {}, "auto": {"batch_size": "auto"}, "7": {"batch_size": 7}}
LABELS = {"answers": {}, "outliers": {"outliers": 3}, "shuffled": {"shuffle_labels": True}}
DTYPES = {"float32": {}, "float64": {"dtype": "float64"}}
FACTORS = {
    "operation": OPERATIONS,
    "architecture": ARCHITECTURES,
    "layout": LAYOUTS,
    "optimizer": OPTIMIZERS,
    "regularizer": REGULARIZERS,
    "loss": LOSSES,
    "batch": BATCHES,
    "labels": LABELS,
    "dtype": DTYPES,
}
STEPS = 30


def allowed(row: dict[str, str]) -> bool:
    """What a config refuses, said once more and apart from it."""
    architecture = row.get("architecture", "")
    if architecture.startswith("mlp") and row.get("layout", "a b") != "a b":
        return False
    if architecture.startswith("lstm") and row.get("regularizer") == "dropout":
        return False
    if architecture == "mlp, one-hot" and row.get("optimizer") == "muon":
        return False
    return not (
        row.get("loss") == "sequence"
        and (architecture.startswith(("mlp", "lstm")) or "uniform" in architecture)  # that one looks ahead
    )


def config_of(row: dict[str, str]) -> gi.RunConfig:
    chosen = {name: values[row[name]] for name, values in FACTORS.items()}
    return gi.RunConfig.from_mapping(
        {
            "name": "matrix",
            "task": {"frac_train": 0.6, **chosen["operation"], **chosen["layout"], **chosen["labels"]},
            "model": chosen["architecture"],
            "optimizer": {"warmup_steps": 3, **chosen["optimizer"]},
            "regularizer": chosen["regularizer"],
            "train": {
                "steps": STEPS,
                "eval_every": 5,
                "checkpoint_every": 15,
                "checkpoint_log_points": 3,
                "resume_every": 4,
                **chosen["loss"],
                **chosen["batch"],
                **chosen["dtype"],
            },
        }
    )


ROWS = pairwise({name: list(values) for name, values in FACTORS.items()}, allowed)
QUICK = [*ROWS[:4], *(row for row in ROWS[4:] if row["architecture"] in ("lstm", "mlp, embedding, square"))][:7]


def called(row: dict[str, str]) -> str:
    return ", ".join(row.values())


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in [path / "metrics.jsonl", *sorted((path / "ckpts").iterdir())]}


class Crash(BaseException):
    """As sudden as an exception can be."""


def trains_resumes_and_is_analyzed(row: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> gi.Run:
    config = config_of(row)
    whole = gi.train(config, folder / "whole", show_progress=False)
    update = Trainer.update

    def crash(trainer):
        if trainer.step == 17:
            raise Crash
        update(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", crash)
        with pytest.raises(Crash):
            gi.train(config, folder / "resumed", show_progress=False)
    resumed = gi.train(config, folder / "resumed", show_progress=False)
    assert content(resumed.path) == content(whole.path)
    assert resumed.metrics["step"].iloc[-1] == STEPS
    outcome = gi.analyze(resumed, show_progress=False)
    assert not outcome.failed
    assert not outcome.damaged
    assert outcome.computed["accuracy_loss"] > 0
    table = resumed.table("accuracy_loss")
    last = resumed.metrics.iloc[-1]
    for split in ("train", "test"):
        rows = table[(table["step"] == STEPS) & (table["split"] == split)]
        assert rows["loss"].iloc[0] == pytest.approx(last[f"{split}_loss"], rel=1e-4, abs=1e-6)
        assert rows["accuracy"].iloc[0] == pytest.approx(last[f"{split}_accuracy"], abs=0.02)
    return resumed


@pytest.mark.parametrize("row", QUICK, ids=called)
def test_what_meets_here_trains_resumes_and_is_analyzed_and_drawn(row, tmp_path, monkeypatch):
    run = trains_resumes_and_is_analyzed(row, tmp_path, monkeypatch)
    assert "overview" in gi.draw_figures(run, show_progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row not in QUICK], ids=called)
def test_everything_meets_everything_and_trains_resumes_and_is_analyzed(row, tmp_path, monkeypatch):
    trains_resumes_and_is_analyzed(row, tmp_path, monkeypatch)


def test_every_pair_of_values_that_may_meet_does():
    pairs = {frozenset(pair) for row in ROWS for pair in itertools.combinations(row.items(), 2)}
    for (one, ones), (other, others) in itertools.combinations(FACTORS.items(), 2):
        for x, y in itertools.product(ones, others):
            assert allowed({one: x, other: y}) == (frozenset([(one, x), (other, y)]) in pairs), (x, y)


def test_what_may_not_meet_is_refused_and_what_may_is_not():
    """`allowed` and the config agree, on every pair of values beside plain ones."""
    plain = {name: next(iter(values)) for name, values in FACTORS.items()}
    for one, other in itertools.combinations(FACTORS, 2):
        for x, y in itertools.product(FACTORS[one], FACTORS[other]):
            row = {**plain, one: x, other: y}
            row["layout"] = row["layout"] if "layout" in (one, other) else "a b"
            if allowed(row):
                assert override(config_of(row)) == config_of(row)
            else:
                with pytest.raises(GrokinterpError):
                    config_of(row)
