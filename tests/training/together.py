"""What the tests of replicas share: a small config, the same runs alone, and how closely two runs agree."""

import grokinterp as gi


def config_of(**changes):
    """A small network in float64 with few checkpoints; sections are given as keyword dictionaries."""
    base = {
        "name": "small",
        "task": {"p": 7, "frac_train": 0.6},
        "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32},
        "optimizer": {"lr": 1e-2},
        "train": {"steps": 100, "dtype": "float64", "checkpoint_log_points": 2, "checkpoint_every": 50},
    }
    if changes.get("model", {}).get("kind", "transformer") != "transformer":
        base["model"] = {}
    return gi.RunConfig.from_mapping(base | {name: base.get(name, {}) | given for name, given in changes.items()})


def folders(place, configs):
    return [place / config.name for config in configs]


def train_alone(configs, place):
    return [gi.train(config, place / config.name, show_progress=False) for config in configs]


def train_both(configs, place):
    """The runs trained together, and each alone."""
    together = gi.train_replicas(configs, folders(place / "together", configs), show_progress=False)
    return list(zip(together, train_alone(configs, place / "alone"), strict=True))


def assert_agrees(one, other, tolerance):
    """Metrics to a tolerance, losses and norm relative to it; exactly, what training does not change."""
    mine, theirs = one.metrics, other.metrics
    assert mine["step"].tolist() == theirs["step"].tolist()
    for column in ("train_loss", "test_loss", "weight_norm"):
        assert (abs(mine[column] / theirs[column] - 1) < tolerance).all(), column
    for column in ("train_accuracy", "test_accuracy"):
        assert (abs(mine[column] - theirs[column]) < tolerance).all(), column
    assert one.steps == other.steps
    for name in ("config.json", "split.safetensors", "task.safetensors", "ckpts/step_00000000.safetensors"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert not list(one.path.rglob("*.tmp"))
