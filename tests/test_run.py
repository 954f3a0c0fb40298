"""A run as an object, and which folders are runs."""

import shutil

import numpy
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import build_forward
from grokinterp.run import find_runs

CONFIGS = {
    "one block": small_config(train={"steps": 20}),
    "two blocks": small_config(
        task={"p": 12, "operation": "x/y", "layout": "a op b ="},
        model={"n_layers": 2, "d_head": 5, "biases": "all", "activation": "gelu"},
        train={"steps": 20},
    ),
}


@pytest.fixture(scope="module", params=CONFIGS)
def run(request, tmp_path_factory):
    return gi.train(CONFIGS[request.param], tmp_path_factory.mktemp("run") / "run", show_progress=False)


def all_tokens(run):
    left, right = run.task.pairs()
    return left, right, torch.from_numpy(run.task.layout.tokens(left, right))


def test_the_model_of_a_step_is_a_hooked_transformer_with_the_same_logits(run):
    from transformer_lens import HookedTransformer

    left, right, tokens = all_tokens(run)
    config = run.config
    forward = build_forward(config.model, run.task.layout, run.task.n_answers, engine="fast")
    for step in (0, 20):
        model = run.model(step)
        assert isinstance(model, HookedTransformer)
        logits = forward(run.weights(step), torch.from_numpy(left), torch.from_numpy(right))
        assert (model(tokens)[:, -1] - logits).abs().max() < 1e-5
    assert not torch.equal(run.model(0)(tokens), run.model(20)(tokens))


def test_run_with_cache_and_hooks_work_on_it(run):
    _, _, tokens = all_tokens(run)
    model, last = run.model(20), run.config.model.n_layers - 1
    logits, cache = model.run_with_cache(tokens)
    pattern, post = cache["pattern", last], cache["post", last]
    assert pattern.shape == (len(tokens), run.config.model.n_heads, tokens.shape[1], tokens.shape[1])
    assert (pattern.sum(-1) - 1).abs().max() < 1e-5
    assert post.shape == (len(tokens), tokens.shape[1], run.config.model.d_mlp)
    skip = cache["resid_mid", last] + model.blocks[last].mlp.b_out
    ablated = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{last}.mlp.hook_post", lambda value, hook: 0 * value)])
    assert (ablated - model.unembed(skip)).abs().max() < 1e-5
    assert (ablated - logits).abs().max() > 1e-3


def test_the_default_step_is_the_last_and_a_missing_one_is_named(run):
    assert run.steps[-1] == 20
    assert run.snapshot().step == 20
    with pytest.raises(GrokinterpError, match="no checkpoint at step 13 "):
        run.model(13)
    before, after = run.steps[-2:]
    with pytest.raises(GrokinterpError, match=f"the nearest to it: {before}, {after}$"):
        run.model((before + after) // 2)
    with pytest.raises(GrokinterpError, match="step='last' is no training step; give a whole number"):
        run.model("last")
    assert run.weights(numpy.int64(after)).keys() == run.weights(after).keys()


def test_metrics_hold_every_evaluation_once_without_wall_times(run):
    table = run.metrics
    assert table["step"].tolist() == [0, 10, 20]
    expected = ["step", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm"]
    assert list(table.columns) == expected


def test_a_run_is_found_from_its_ckpts_folder_and_from_its_parent(run, monkeypatch):
    assert find_runs(run.path) == [run.path]
    assert find_runs(run.path / "ckpts") == [run.path]
    assert find_runs(run.path.parent) == [run.path]
    monkeypatch.chdir(run.path / "ckpts")
    assert [path.resolve() for path in find_runs(".")] == [run.path.resolve()]
    assert gi.open(".").steps == run.steps


def test_runs_are_found_in_a_folder_and_in_the_folders_in_it_and_no_deeper(run, tmp_path):
    for place in ("a", "sweep/b", "sweep/c", "too/deep/d"):
        shutil.copytree(run.path, tmp_path / place)
    assert find_runs(tmp_path) == [tmp_path / place for place in ("a", "sweep/b", "sweep/c")]
    with pytest.raises(GrokinterpError, match="holds 2 runs; name one of them, such as"):
        gi.open(tmp_path / "sweep")


def test_tables_go_to_out_and_the_run_stays_as_it_was(run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    elsewhere = gi.open(run.path, out=tmp_path / "out")
    gi.analyze(elsewhere, ["weight_norm"], show_progress=False)
    assert len(elsewhere.table("weight_norm")) > 0
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    with pytest.raises(GrokinterpError, match="has no table weight_norm; run `grokinterp analyze"):
        run.table("weight_norm")


@pytest.mark.parametrize("leads", ['"x"', "5", "[1]", '{"a": 1}', '[{"name": 1}]'])
def test_leads_that_are_damaged_are_refused_with_the_way_to_mend_them(tmp_path, leads):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    assert run.leads.empty
    run.rundir.phases_path.write_text(f'{{"leads": {leads}}}')
    with pytest.raises(gi.GrokinterpError, match="is damaged; `grokinterp analyze"):
        _ = run.leads
