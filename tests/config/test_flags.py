"""Flags of the command line: each field of each kind has one, and a run's config says what its flags said."""

import shlex
from typing import get_args

import pytest

import grokinterp as gi
from grokinterp.cli import ModelFlags, TaskFlags, run_command
from grokinterp.config import KINDS, TaskConfig
from grokinterp.overrides import override
from grokinterp.presets import PRESETS

FEW = "--train.steps 2 --train.device cpu"
STEPS = {"train": {"steps": 2, "device": "cpu"}}


def test_every_field_of_every_kind_has_a_flag_with_the_choices_of_all():
    assert set(ModelFlags.model_fields) == {name for kind in KINDS.values() for name in kind.model_fields}
    assert set(TaskFlags.model_fields) == set(TaskConfig.model_fields) - {"table"}
    choices = {
        name: get_args(get_args(ModelFlags.model_fields[name].annotation)[0])
        for name in ("kind", "activation", "biases", "init")
    }
    assert choices == {
        "kind": ("transformer", "mlp", "lstm"),
        "activation": ("relu", "gelu", "square"),
        "biases": ("none", "mlp", "all"),
        "init": ("tl", "nanda", "torch"),
    }
    assert all(field.default is None and field.description for field in ModelFlags.model_fields.values())


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        ("--model.kind mlp --model.d-hidden 8", {"model": {"kind": "mlp", "d_hidden": 8}}),
        (
            "--model.kind mlp --model.input embedding --model.d-model 4 --model.activation square",
            {"model": {"kind": "mlp", "input": "embedding", "d_model": 4, "activation": "square"}},
        ),
        (
            "--model.kind lstm --model.n-layers 2 --task.layout 'a op b ='",
            {"model": {"kind": "lstm", "n_layers": 2}, "task": {"layout": "a op b ="}},
        ),
        ("--model.attention-rate 0.5 --model.no-causal", {"model": {"attention_rate": 0.5, "causal": False}}),
        ("--task.operation x+y+z --task.p 5", {"task": {"operation": "x+y+z", "p": 5}}),
        ("--task.operation conjugate --task.group S3", {"task": {"operation": "x.y.x^-1", "group": "S3"}}),
        ("--task.outliers 5 --task.label-seed 2", {"task": {"outliers": 5, "label_seed": 2}}),
        (
            "--task.shuffle-labels --train.batch-size auto",
            {"task": {"shuffle_labels": True}, "train": {"batch_size": "auto"}},
        ),
    ],
)
def test_the_config_of_a_run_says_what_its_flags_said(flags, changes, tmp_path):
    assert run_command(shlex.split(f"train ci {flags} {FEW} --out {tmp_path / 'run'}")) == 0
    assert gi.open(tmp_path / "run").config == override(PRESETS["ci"](), STEPS, changes)


@pytest.mark.parametrize(("name", "p"), [("ops.csv", None), ("ops.py", 6)])
def test_an_operation_of_one_s_own_is_trained_saved_and_opened_without_its_file(name, p, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = [[max(x, y) for y in range(6)] for x in range(6)]
    rows = "\n".join(",".join(map(str, row)) for row in table)
    (tmp_path / name).write_text(rows if p is None else "def operation(x, y):\n    return max(x, y)\n")
    with_p = "" if p is None else f"--task.p {p}"
    assert run_command(shlex.split(f"train ci --task.file {name} {with_p} {FEW} --out run")) == 0
    (tmp_path / name).unlink()
    run = gi.open("run")
    assert run.config.task.table == tuple(map(tuple, table))
    assert run.config.task.p == p
    assert run.task.table.tolist() == table
    again = gi.train(run.config, "run", show_progress=False)
    assert again.steps == run.steps


def test_the_help_names_the_new_flags(capsys):
    assert run_command(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    for flag in ("--task.file", "--task.outliers", "--model.kind", "--model.attention-rate", "--model.d-hidden"):
        assert flag in shown
    assert "--task.table" not in shown


def test_full_batches_can_be_asked_for_of_a_preset_with_minibatches(tmp_path):
    from grokinterp.config import RunConfig
    from grokinterp.overrides import override
    from grokinterp.presets import power2022

    config = override(power2022(), {"train": {"batch_size": "full"}})
    assert (config.train.batch_size, config.batch_size) == (None, None)
    assert RunConfig.from_json(config.to_json()) == config
