"""Under TransformerLens 4 a bridge computes what the HookedTransformer of the same weights computed under 3.

`make test-tl4` makes the references with 3 and runs this with 4; anywhere else it is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from references import MODELS, tokens_of

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.models.lens_version import lens_version

FOLDER = os.environ.get("GROKINTERP_TL4_RUNS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="needs TransformerLens 4 in its own environment: make test-tl4")
BRIDGED = [name for name in MODELS if name != "post_norm"]


@pytest.fixture(params=BRIDGED)
def case(request) -> tuple[gi.Run, dict[str, torch.Tensor]]:
    run = gi.open(Path(FOLDER) / request.param)
    return run, safetensors.torch.load_file(Path(FOLDER) / f"{request.param}.logits.safetensors")


def test_this_is_version_4_and_it_has_no_hooked_transformer():
    assert lens_version().startswith("4.")
    with pytest.raises(ImportError):
        from transformer_lens import HookedTransformer  # noqa: F401


def test_a_bridge_has_the_logits_of_the_hooked_transformer_at_every_checkpoint(case):
    run, logits = case
    assert len(run.steps) > 2
    for step in run.steps:
        bridge = run.bridge(step)
        with torch.no_grad():
            found = bridge(tokens_of(run))
        wanted = logits[str(step)]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert (found - wanted).abs().max() <= (1e-5 if found.dtype == torch.float32 else 1e-10)
    assert torch.equal(run.bridge()(tokens_of(run)), run.bridge(run.steps[-1])(tokens_of(run)))


def test_its_caches_have_the_names_and_values_of_ours(case):
    run, _ = case
    with torch.no_grad():
        _, cache = run.bridge().run_with_cache(tokens_of(run))
    pattern = cache["blocks.0.attn.hook_pattern"]
    assert pattern.shape[1:] == (run.config.model.n_heads, 3, 3)
    if run.config.model.normalization == "none":
        attention = run.snapshot().attention
        last = cache[f"blocks.{run.config.model.n_layers - 1}.attn.hook_pattern"][:, :, -1]
        assert torch.allclose(last.double(), attention.reshape(last.shape), atol=1e-5)


def test_its_parameters_are_the_checkpoints(case):
    run, _ = case
    weights, bridge = run.weights(run.steps[-1]), run.bridge()
    assert torch.equal(bridge.state_dict()["embed.weight"], weights["embed.W_E"])
    assert torch.equal(bridge.W_E, weights["embed.W_E"])
    assert torch.equal(bridge.blocks[0].mlp.W_in, weights["blocks.0.mlp.W_in"])


def test_post_norm_is_refused():
    run = gi.open(Path(FOLDER) / "post_norm")
    with pytest.raises(GrokinterpError, match="it can't build a post-LN network"):
        run.bridge()


@pytest.mark.parametrize("ask", [lambda run: run.model(), lambda run: gi.build_model(run.config)])
def test_what_needs_version_3_says_so(ask):
    with pytest.raises(GrokinterpError, match=r"needs HookedTransformer, which TransformerLens 4\.\d.* `run.bridge"):
        ask(gi.open(Path(FOLDER) / "plain"))


def test_training_analysis_and_figures_need_no_hooked_transformer(tmp_path):
    names = "accuracy_loss,embedding_spectrum,progress_measures,weight_norm,logit_spectrum,neuron_frequencies"
    run = gi.train(gi.open(Path(FOLDER) / "plain").config, tmp_path / "run", show_progress=False)
    first = gi.open(Path(FOLDER) / "plain")
    assert all(torch.equal(run.weights(60)[name], value) for name, value in first.weights(60).items())
    assert run_command(["analyze", str(run.path), "--only", names, "--jobs", "1"]) == 0
    assert run_command(["figures", str(run.path), "--only", "progress_measures"]) == 0
    assert run_command(["show", str(run.path)]) == 0
    assert run_command(["report", str(run.path)]) == 0
    assert run_command(["verify", str(run.path)]) == 0


def test_every_measure_runs_without_a_hooked_transformer(tmp_path):
    first = gi.open(Path(FOLDER) / "plain")
    outcome = gi.analyze(gi.open(first.path, out=tmp_path), show_progress=False)
    assert not outcome.failed
    assert outcome.computed


def test_a_bridges_own_checkpoint_is_imported_as_the_same_weights(tmp_path):
    run = gi.open(Path(FOLDER) / "plain")
    torch.save(run.bridge().state_dict(), tmp_path / "bridge.pt")
    given = {"task": {"operation": "x+y"}, "model": {"n_heads": 2, "activation": "relu"}}
    back = gi.import_run(tmp_path / "bridge.pt", tmp_path / "back", given=given)
    last = run.weights(run.steps[-1])
    assert all(torch.equal(value, last[name]) for name, value in back.weights(back.steps[-1]).items())


def test_importing_grokinterp_needs_no_transformer_lens():
    code = (
        "import sys; sys.modules['transformer_lens'] = None; import grokinterp as gi; gi.open(sys.argv[1]).snapshot()"
    )
    done = subprocess.run([sys.executable, "-c", code, f"{FOLDER}/plain"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
