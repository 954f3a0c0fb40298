"""gi.record around a training loop of one's own gives a run like any other."""

import pytest
import torch
import torch.nn.functional as F
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.transformer import build_hooked
from grokinterp.tasks import build_task

CONFIG = small_config(task={"p": 5, "operation": "x*y", "frac_train": 0.6}, model={"d_mlp": 24})


def own_model(seed=7):
    task = build_task(CONFIG.task)
    model = build_hooked(CONFIG.model, task.layout, task.n_answers)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def own_loop(folder, steps=(0, 5, 10)):
    """Plain SGD on a real HookedTransformer; returns the model and its logits at each saved step."""
    model, kept = own_model(), {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gi.record(folder, CONFIG) as recorder:
        left, right = recorder.task.pairs()
        tokens = torch.from_numpy(recorder.task.layout.tokens(left, right))
        label = torch.from_numpy(recorder.task.table[left, right])
        train = torch.from_numpy(recorder.train_mask[left, right])
        for step in range(max(steps) + 1):
            logits = model(tokens)[:, -1]
            losses, hits = F.cross_entropy(logits, label, reduction="none"), logits.argmax(1) == label
            if step in steps:
                kept[step] = logits.detach()
                values = {"train_loss": losses[train].mean(), "test_loss": losses[~train].mean()}
                values |= {"train_accuracy": hits[train].float().mean(), "test_accuracy": hits[~train].float().mean()}
                recorder.save(step, model, {name: value.item() for name, value in values.items()})
            optimizer.zero_grad()
            losses[train].mean().backward()
            optimizer.step()
    return tokens, kept


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded") / "run"
    return folder, *own_loop(folder)


def test_a_recorded_run_opens_with_its_steps_metrics_and_split(recorded):
    run = gi.open(recorded[0])
    assert run.steps == [0, 5, 10]
    assert run.config == CONFIG
    assert run.metrics["step"].tolist() == [0, 5, 10]
    assert run.train_mask.sum() == 15
    assert run.task.table.tolist() == [[a * b % 5 for b in range(5)] for a in range(5)]


def test_each_checkpoint_s_model_gives_the_logits_that_were_recorded(recorded):
    folder, tokens, kept = recorded
    run = gi.open(folder)
    for step, logits in kept.items():
        assert torch.equal(run.model(step)(tokens)[:, -1].detach(), logits)
        snapshot = run.snapshot(step)
        a, b = run.task.pairs()
        assert (torch.as_tensor(snapshot.logits)[a, b] - logits).abs().max() < 1e-5


def test_a_recorded_run_is_analyzed(recorded, tmp_path):
    run = gi.open(recorded[0], out=tmp_path)
    outcome = gi.analyze(run, ["accuracy_loss", "weight_norm"], show_progress=False)
    assert not outcome.failed
    assert not outcome.damaged
    assert sorted(set(run.table("weight_norm")["step"])) == [0, 5, 10]


def test_steps_must_rise(tmp_path):
    with gi.record(tmp_path / "run", CONFIG) as recorder:
        recorder.save(4, own_model())
        for step in (4, 3):
            with pytest.raises(GrokinterpError, match=f"step {step} comes after step 4"):
                recorder.save(step, own_model())


def test_another_architecture_is_refused_before_anything_is_saved(tmp_path):
    weights = dict(own_model().named_parameters())
    with gi.record(tmp_path / "run", CONFIG) as recorder:
        with pytest.raises(GrokinterpError, match=r"has no blocks\.0\.mlp\.W_in"):
            recorder.save(0, {n: w for n, w in weights.items() if n != "blocks.0.mlp.W_in"})
        with pytest.raises(GrokinterpError, match=r"embed\.W_E has shape .*correct config\.model"):
            recorder.save(0, {**weights, "embed.W_E": torch.zeros(9, 16)})
    assert gi.open(tmp_path / "run").steps == []


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(GrokinterpError, match="record into a new folder"), gi.record(tmp_path, CONFIG):
        raise AssertionError
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("mask", [torch.ones(5, 5).bool().numpy()[:4], torch.ones(5, 5).numpy()])
def test_a_mask_of_another_shape_or_type_is_refused(mask, tmp_path):
    with pytest.raises(GrokinterpError, match=r"boolean array of shape \(5, 5\)"):
        gi.record(tmp_path / "run", CONFIG, train_mask=mask)


def test_weights_that_share_memory_are_saved_as_often(tmp_path):
    model = own_model()
    with torch.no_grad():
        model.blocks[0].attn.W_K.copy_(model.blocks[0].attn.W_Q)
    model.blocks[0].attn.W_K = model.blocks[0].attn.W_Q
    with gi.record(tmp_path / "run", CONFIG) as recorder:
        recorder.save(
            0, {**dict(own_model().named_parameters()), **dict(model.named_parameters(remove_duplicate=False))}
        )
    saved = gi.open(tmp_path / "run").weights(0)
    assert torch.equal(saved["blocks.0.attn.W_K"], saved["blocks.0.attn.W_Q"])
