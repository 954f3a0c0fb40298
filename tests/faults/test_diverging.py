"""A loss that explodes or is no number: training stops and says why, and what came before is kept and readable."""

import json
import math

import pytest
import torch

import grokinterp as gi
from faults.conftest import SMALL
from grokinterp.training.trainer import Trainer

EXPLODING = {
    "a learning rate of 1000": "--optimizer.lr 1000 --optimizer.warmup-steps 0",
    "sgd that overflows": "--optimizer.name sgd --optimizer.lr 1000 --optimizer.warmup-steps 0",
    "squares that overflow": "--optimizer.name sgd --optimizer.lr 1000 --optimizer.warmup-steps 0 --train.loss mse",
}

BREAKS = """
import torch
from grokinterp.training.trainer import Trainer
update = Trainer.update
def breaking(trainer):
    update(trainer)
    if trainer.step == 37:
        with torch.no_grad():
            next(iter(trainer.weights.values())).view(-1)[0] = float("{value}")
Trainer.update = breaking
"""


def sentence_of(answer: dict) -> str:
    (line,) = answer["err"].splitlines()
    assert line.startswith("grokinterp: ")
    return line


@pytest.mark.parametrize("why", EXPLODING)
def test_what_explodes_is_stopped_and_kept(why, server, tmp_path, fault):
    words = f"train {SMALL} --out run {EXPLODING[why]}".split()
    with fault(f"an exploding loss: {why}"):
        answer = server(words, tmp_path)
        rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert all(math.isfinite(value) for row in rows for value in row.values())
        if answer["status"] == 0:  # Adam's steps are bounded: it goes on, and says what came of it
            assert rows[-1]["step"] == 60
        else:
            assert answer["status"] == 2
            assert "is no longer a number at step " in sentence_of(answer)
            assert "lower learning rate" in answer["err"]
            again = server([*words, "--resume"], tmp_path)
            assert (again["status"], sentence_of(again)) == (2, sentence_of(answer))
        run = gi.open(tmp_path / "run")
        assert all(bool(w.isfinite().all()) for step in run.steps for w in run.weights(step).values())
        assert server(["verify", "run"], tmp_path)["status"] == 0


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_weight_that_is_no_number_in_the_middle_is_stopped_and_explained(value, server, stages, tmp_path, fault):
    stage = stages["train"]
    work = stage.start(tmp_path)
    with fault(f"a weight of {value}"):
        answer = server(stage.words, work, patch=BREAKS.format(value=value))
        assert answer["status"] == 2
        assert "no longer a number at step 40; what came before is kept" in sentence_of(answer)
        run = gi.open(work / "run")
        assert run.steps[-1] < 40
        assert run.metrics["step"].max() == 30
        assert server(stage.again, work)["status"] == 2  # resume.pt of step 39 holds it
        assert server(["verify", "run"], work)["status"] == 0
        assert server(["analyze", "run", "--only", "weight_norm"], work)["status"] == 0


def test_a_replica_that_breaks_stops_alone(tmp_path, monkeypatch, fault):
    from grokinterp.training.replica_group import ReplicaGroup

    configs = gi.replica_configs(gi.RunConfig.from_mapping(MAPPING), 3)
    update = ReplicaGroup.update

    def breaking(group):
        update(group)
        if group.step == 26:
            with torch.no_grad():
                next(iter(group._weights.values()))[1] = math.nan

    monkeypatch.setattr(ReplicaGroup, "update", breaking)
    folders = [tmp_path / config.name for config in configs]
    with fault("a weight of nan: one of three replicas"):
        with pytest.raises(gi.GrokinterpError, match=r"seed1.* is no longer a number at step (2[6-9]|30)"):
            gi.train_replicas(configs, folders, show_progress=False)
        runs = [gi.open(folder) for folder in folders]
        assert [run.metrics["step"].max() for run in runs] == [40, 20, 40]
        assert runs[1].steps[-1] < 26


MAPPING = {
    "name": "three",
    "task": {"p": 7, "frac_train": 0.6},
    "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32},
    "train": {"steps": 40, "checkpoint_every": 10},
}


def test_a_learning_rate_that_no_one_means_is_refused_before_anything_is_written(server, tmp_path, fault):
    with fault("a learning rate of 1e6"):
        answer = server(f"train {SMALL} --out run --optimizer.lr 1e6".split(), tmp_path)
        assert answer["status"] == 2
        assert "optimizer.lr" in sentence_of(answer)
        assert "less than or equal to 1000" in sentence_of(answer)
        assert not (tmp_path / "run").exists()


def test_nothing_of_the_trainer_is_left_patched():
    assert Trainer.update.__name__ == "update"
