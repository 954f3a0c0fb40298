"""How replicas that are trained together stop, go on, fail and are refused."""

import json
import os
import signal

import pytest
import torch
from conftest import small_config
from together import assert_agrees, config_of, folders, train_alone, train_both

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.overrides import override
from grokinterp.runs.files import locked
from grokinterp.runs.rundir import RunDir
from grokinterp.training import replica_loop
from grokinterp.training.replica_group import ReplicaGroup
from grokinterp.training.stop import Interrupted
from grokinterp.training.trainer import Trainer

R = 3

# Stopping and going on ------------------------------------------------------------------------------------

BATCHES = small_config(
    task={"outliers": 2}, train={"steps": 40, "batch_size": 9, "eval_every": 4, "resume_every": 7, "dtype": "float64"}
)


class Crash(BaseException):
    """As sudden as an exception can be."""


def content(folder):
    """The bytes of all that training computes, resume.pt apart."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("resume.pt", "provenance.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "lock"}


def stopping_at(step, how):
    """An `update` that crashes at a step, or is sent a signal there."""
    update = ReplicaGroup.update

    def wrapped(group):
        if group.step == step and how == "crash":
            raise Crash
        if group.step == step:
            os.kill(os.getpid(), how)
        update(group)

    return wrapped


def train_until(step, how, configs, place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReplicaGroup, "update", stopping_at(step, how))
        with pytest.raises((Crash, Interrupted)) as stop:
            gi.train_replicas(configs, folders(place, configs), show_progress=False)
    return stop.value


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Three replicas trained in one go."""
    configs, place = gi.replica_configs(BATCHES, R), tmp_path_factory.mktemp("uninterrupted")
    gi.train_replicas(configs, folders(place, configs), show_progress=False)
    return [content(folder) for folder in folders(place, configs)]


def test_interrupted_replicas_end_with_the_bytes_of_uninterrupted_ones(uninterrupted, tmp_path):
    configs = gi.replica_configs(BATCHES, R)
    for step, how in ((3, signal.SIGINT), (10, "crash"), (23, signal.SIGTERM), (39, "crash")):
        stop = train_until(step, how, configs, tmp_path)
        assert how == "crash" or stop.step == step + 1
    gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert [content(folder) for folder in folders(tmp_path, configs)] == uninterrupted


def test_an_interrupted_replica_goes_on_alone_as_well(tmp_path):
    configs = gi.replica_configs(BATCHES, 2)
    train_until(23, signal.SIGINT, configs, tmp_path / "cut")
    cut = [gi.train(c, tmp_path / "cut" / c.name, show_progress=False) for c in configs]
    for one, other in zip(cut, train_alone(configs, tmp_path / "alone"), strict=True):
        assert_agrees(one, other, 1e-9)
        assert "replicas" not in one.rundir.read_provenance()


def test_the_resume_file_is_that_of_a_single_run(tmp_path):
    configs = gi.replica_configs(BATCHES, 2)
    for one, other in train_both(configs, tmp_path):
        mine, theirs = (torch.load(run.rundir.resume_path, weights_only=True) for run in (one, other))
        mine["ending"]["seconds"] = theirs["ending"]["seconds"] = 0.0
        assert_same_structure(mine, theirs)


def assert_same_structure(one, other):
    """Keys, types, shapes and dtypes alike, and numbers to 1e-9."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        pairs = [(one[key], other[key]) for key in one]
    elif isinstance(one, list | tuple):
        pairs = list(zip(one, other, strict=True))
    elif isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert torch.allclose(one.double(), other.double(), rtol=1e-9, atol=1e-12)
        return
    else:
        assert one == pytest.approx(other, rel=1e-9) if isinstance(one, float) else one == other
        return
    for a, b in pairs:
        assert_same_structure(a, b)


def test_runs_begun_alone_go_on_together(uninterrupted, tmp_path):
    configs = gi.replica_configs(BATCHES, 2)
    for config, folder in zip(configs, folders(tmp_path, configs), strict=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "update", crashing_at(20))
            with pytest.raises(Crash):
                gi.train(config, folder, show_progress=False)
    together = gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    for i, (one, other) in enumerate(zip(together, train_alone(configs, tmp_path / "alone"), strict=True)):
        assert_agrees(one, other, 1e-9)
        about = one.rundir.read_provenance()
        assert (about["replicas"], about["replica"], about["engine"]) == (2, i, "FastForward")


def crashing_at(step):
    update = Trainer.update

    def wrapped(trainer):
        if trainer.step == step:
            raise Crash
        update(trainer)

    return wrapped


def test_replicas_left_at_different_steps_say_so_and_go_on_in_turn(tmp_path, monkeypatch, capsys):
    """The process dies between the resume files of one step: two are at 14, two still at 7."""
    configs, written = gi.replica_configs(BATCHES, 4), []
    write = replica_loop.write_resume

    def dying(rundir, state):
        if len(written) == 6:
            raise Crash
        written.append(state["step"])
        write(rundir, state)

    with monkeypatch.context() as patch:
        patch.setattr(replica_loop, "write_resume", dying)
        with pytest.raises(Crash):
            gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert written == [7] * 4 + [14] * 2
    together = gi.train_replicas(configs, folders(tmp_path, configs))
    assert "2 at step 14, 2 at step 7" in capsys.readouterr().err
    for one, other in zip(together, train_alone(configs, tmp_path / "alone"), strict=True):
        assert_agrees(one, other, 1e-9)


def test_finished_replicas_are_reused_and_the_others_trained(tmp_path):
    configs = gi.replica_configs(BATCHES, 3)
    first = gi.train_replicas(configs[:1], folders(tmp_path, configs[:1]), show_progress=False)
    times = {path: path.stat().st_mtime_ns for path in first[0].path.rglob("*")}
    runs = gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert {path: path.stat().st_mtime_ns for path in first[0].path.rglob("*")} == times
    assert [run.steps[-1] for run in runs] == [40] * 3
    assert runs[1].rundir.read_provenance()["replicas"] == 2
    assert runs[0].steps == gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)[0].steps


# Failing --------------------------------------------------------------------------------------------------


def rates(*values, **changes):
    """Replicas with these learning rates of sgd."""
    optimizer = {"name": "sgd", "warmup_steps": 0, "weight_decay": 0.0}
    data = [small_config(optimizer=optimizer | {"lr": lr}, **changes) for lr in values]
    return [gi.RunConfig.from_mapping(one.model_dump() | {"name": f"r{i}"}) for i, one in enumerate(data)]


def test_a_replica_that_diverges_stops_alone_and_is_named_at_the_end(tmp_path):
    configs = rates(0.01, 1000.0, 0.02, train={"steps": 30, "eval_every": 1, "dtype": "float64"})
    sentence = (
        r"^[^;]*r1: .* is no longer a number at step \d+; what came before is kept.*than 1000.0 in another --out$"
    )
    with pytest.raises(GrokinterpError, match=sentence):
        gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    with pytest.raises(GrokinterpError, match="no longer a number"):
        gi.train(configs[1], tmp_path / "alone" / "r1", show_progress=False)
    kept, alone = gi.open(tmp_path / "r1"), gi.open(tmp_path / "alone" / "r1")
    assert kept.metrics["step"].tolist() == alone.metrics["step"].tolist()
    assert kept.steps == alone.steps
    for i in (0, 2):
        assert_agrees(gi.open(tmp_path / f"r{i}"), gi.train(configs[i], tmp_path / "alone" / f"r{i}"), 1e-9)


def test_when_all_diverge_all_are_named(tmp_path):
    configs = rates(1000.0, 900.0, train={"eval_every": 1})
    with pytest.raises(GrokinterpError, match=r"r0: .*; .*r1: "):
        gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": {"frac_train": 0.5}}, "task.frac_train"),
        ({"task": {"outliers": 1}}, "task.outliers"),
        ({"model": {"d_mlp": 16}}, "model.d_mlp"),
        ({"optimizer": {"betas": (0.9, 0.99)}}, "optimizer.betas"),
        ({"regularizer": {"sam_rho": 0.1}}, "regularizer.sam_rho"),
        ({"train": {"steps": 41}}, "train.steps"),
    ],
)
def test_configs_of_different_shape_are_refused_by_the_field(change, field, tmp_path):
    one, other = small_config(), small_config(**change)
    with pytest.raises(GrokinterpError, match=rf"differ in {field}, .*train them one by one$"):
        gi.train_replicas([one, other], [tmp_path / "a", tmp_path / "b"], show_progress=False)
    assert not list(tmp_path.iterdir())


def test_configs_of_different_architectures_are_refused(tmp_path):
    lstm = config_of(model={"kind": "lstm"})
    with pytest.raises(GrokinterpError, match=r"differ in model\.kind"):
        gi.train_replicas([config_of(), lstm], [tmp_path / "a", tmp_path / "b"], show_progress=False)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model": {"normalization": "LN"}}, "LayerNorm"),
        ({"train": {"engine": "hooked"}}, "the hooked engine"),
        ({"train": {"loss_on": "sequence"}}, "loss on the sequence"),
        ({"regularizer": {"dropout": 0.1}}, r"regularizer\.dropout"),
        ({"model": {"kind": "mlp"}, "regularizer": {"dropout": 0.1}}, r"regularizer\.dropout"),
        ({"regularizer": {"grokfast": "ema"}}, r"regularizer\.grokfast"),
        ({"regularizer": {"norm": "initial"}}, r"regularizer\.norm"),
        ({"optimizer": {"name": "muon"}}, "muon"),
        ({"optimizer": {"decay_to": "init"}}, "decay_to init"),
        ({"train": {"max_seconds": 10.0}}, "max_seconds"),
    ],
)
def test_what_has_no_replica_axis_is_refused_in_one_sentence(change, what, tmp_path):
    configs = gi.replica_configs(config_of(**change), 2)
    with pytest.raises(GrokinterpError, match=rf"^replicas are not offered with {what}; train them one by one$"):
        gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert not list(tmp_path.iterdir())


def test_one_directory_that_cannot_be_used_leaves_all_untouched(tmp_path):
    configs = gi.replica_configs(BATCHES, 3)
    gi.train(configs[2], tmp_path / configs[1].name, show_progress=False)  # another config lies where the second goes
    before = content(tmp_path)
    with pytest.raises(GrokinterpError, match="holds a run of another config"):
        gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    with pytest.raises(GrokinterpError, match="holds no run"):
        gi.train_replicas(configs[:2], [tmp_path / "new", tmp_path / "thesis"], show_progress=False)
    with pytest.raises(GrokinterpError, match="different directories"):
        gi.train_replicas(configs[:2], [tmp_path / "new", tmp_path / "new" / "." / ""], show_progress=False)
    with pytest.raises(GrokinterpError, match="different directories"):
        gi.train_replicas(configs[:2], [tmp_path / "new"], show_progress=False)
    with pytest.raises(GrokinterpError, match="replicas cannot lie in it"):
        gi.train_replicas(configs[:1], [tmp_path / configs[1].name / "new"], show_progress=False)
    with pytest.raises(GrokinterpError, match="at least one"):
        gi.train_replicas([], [], show_progress=False)
    assert content(tmp_path) == before | {"thesis/thesis.tex": b""}


def test_a_directory_in_use_by_another_process_stops_all_of_them(tmp_path):
    configs = gi.replica_configs(BATCHES, 2)
    with (
        locked(RunDir(tmp_path / configs[1].name).lock_path, "it"),
        pytest.raises(GrokinterpError, match="in use by another process"),
    ):
        gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert not content(tmp_path)


def test_all_directories_are_locked_while_they_train(tmp_path, monkeypatch):
    configs, update, refused = gi.replica_configs(BATCHES, 2), ReplicaGroup.update, []

    def trying(group):
        for folder in folders(tmp_path, configs) if group.step == 5 else ():
            with pytest.raises(GrokinterpError, match="in use"), locked(folder / "lock", "it"):
                pass
            refused.append(folder)
        update(group)

    monkeypatch.setattr(ReplicaGroup, "update", trying)
    gi.train_replicas(configs, folders(tmp_path, configs), show_progress=False)
    assert refused == folders(tmp_path, configs)


# Configs and the command line -----------------------------------------------------------------------------


def test_replicas_count_all_seeds_up_together():
    base = small_config(task={"split_seed": 3, "label_seed": 5}, model={"init_seed": 7}, train={"seed": 11})
    configs = gi.replica_configs(base, 3)
    assert [c.name for c in configs] == ["small-seed7", "small-seed8", "small-seed9"]
    for i, config in enumerate(configs):
        seeds = (config.task.split_seed, config.task.label_seed, config.model.init_seed, config.train.seed)
        assert seeds == (3 + i, 5 + i, 7 + i, 11 + i)
        back = config.model_dump()
        for section, field in (
            ("task", "split_seed"),
            ("task", "label_seed"),
            ("model", "init_seed"),
            ("train", "seed"),
        ):
            back[section][field] -= i
        assert gi.RunConfig.from_mapping(back | {"name": "small"}) == base


@pytest.mark.parametrize("n", [0, -1])
def test_no_replicas_are_refused(n):
    with pytest.raises(GrokinterpError, match="at least 1"):
        gi.replica_configs(small_config(), n)


def test_seeds_that_grow_too_large_are_refused_in_a_sentence():
    with pytest.raises(GrokinterpError, match="init_seed"):
        gi.replica_configs(small_config(model={"init_seed": 2**63 - 2}), 3)


def test_the_command_line_trains_replicas_and_goes_on_with_resume(tmp_path, capsys):
    text = "--task.p 7 --model.d-model 16 --model.n-heads 2 --model.d-mlp 24 --train.steps 12 --replicas 2 --out"
    command = ["train", "ci", *text.split(), str(tmp_path / "many")]
    assert run_command(command) == 0
    said = capsys.readouterr().err
    assert "ci-seed0: " in said
    assert f"2 runs in {tmp_path / 'many'}; next: grokinterp analyze" in said
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["ci-seed0", "ci-seed1"]
    about = json.loads((tmp_path / "many" / "ci-seed1" / "provenance.json").read_text())
    assert (about["replicas"], about["replica"]) == (2, 1)
    for folder in (tmp_path / "many").iterdir():  # as if both had been killed before their first resume file
        (folder / "resume.pt").unlink()
        (folder / "ckpts" / "step_00000012.safetensors").unlink()
    assert run_command(command) == 2
    assert "add --resume to go on" in capsys.readouterr().err
    assert run_command([*command, "--resume"]) == 0
    assert run_command([*command[:-1], str(tmp_path / "many" / "ci-seed0")]) == 2
    assert run_command(["train", "ci", "--replicas", "1.5"]) == 2
    assert run_command(["train", "ci", "--replicas", "0", "--out", str(tmp_path / "none")]) == 2


@pytest.mark.slow
def test_a_replica_that_grokked_ends_by_itself_and_the_others_go_on(tmp_path):
    config = override(gi.presets.ci(), {"train": {"stop_after_grokking": 30, "threads": 1}})
    configs = gi.replica_configs(config, 2)
    together = gi.train_replicas(configs, [tmp_path / "a", tmp_path / "b"], show_progress=False)
    lasts = [run.phases.last_step for run in together]
    assert max(lasts) < config.train.steps
    assert lasts[0] != lasts[1]  # the other one went on
    for run, last in zip(together, lasts, strict=True):
        grokked = run.phases.generalization_step
        assert (run.steps[-1], last) == (last, grokked + 40)  # known after five evaluations
        assert run.rundir.read_end()["reason"].startswith(f"it grokked at step {grokked}")
    alone = gi.train(configs[0], tmp_path / "alone", show_progress=False)
    assert abs(alone.phases.last_step - lasts[0]) <= 20
    before = [run.rundir.metrics_path.read_bytes() for run in together]
    again = gi.train_replicas(configs, [tmp_path / "a", tmp_path / "b"], show_progress=False)
    assert [run.rundir.metrics_path.read_bytes() for run in again] == before
