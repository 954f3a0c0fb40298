"""Reading checkpoints: `analyze` against run_with_cache with dense code; flatness against a loop of forwards."""

import shutil
import tempfile
from pathlib import Path

import torch
from transformer_lens import HookedTransformer

import grokinterp as gi
from benchmarks.clock import interleaved, ratio, write
from benchmarks.dense import DenseAnalysis
from grokinterp.landscape.noise import draw, noise_scale, perturb
from grokinterp.measures import flatness
from grokinterp.measures.registry import select

DENSE_CHECKPOINTS, ROUNDS = 8, 3
SAME_COLUMNS = [
    "accuracy_loss",
    "embedding_spectrum",
    "logit_spectrum",
    "neuron_frequencies",
    "progress_measures",
    "symbol_pca",
    "weight_norm",
]
"""Measures that have between them every column of the dense code, and more."""


def main() -> None:
    """p = 113, the quick recipe."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = gi.train(gi.presets.quick(), folder / "run", show_progress=False)
        models = [run.model(step) for step in run.steps[-DENSE_CHECKPOINTS:]]
        dense, default = DenseAnalysis(run), [name for name in select(None) if name != "flatness"]

        def ours(names: list[str]) -> None:
            shutil.rmtree(folder / "run" / "measures", ignore_errors=True)
            gi.analyze(run, measures=names, show_progress=False)

        def theirs() -> None:
            for model in models:
                dense(model)

        n, m = len(run.steps), len(models)
        contenders = {
            f"run_with_cache and dense code, {m} checkpoints": theirs,
            f"analyze for the same columns, {n} checkpoints": lambda: ours(SAME_COLUMNS),
            f"analyze, all but flatness, {n} checkpoints": lambda: ours(default),
        }
        seconds = interleaved(contenders, rounds=ROUNDS)
        usual, same, everything = ([x / k for x in s] for s, k in zip(seconds.values(), (m, n, n), strict=True))
        figures = {
            "dense code / analyze, the same columns": {"target": 10, **ratio(usual, same)},
            "dense code / analyze, all measures": ratio(usual, everything),
        }
        found = _flatness(run, models[-1])
        usual, mine = found.values()
        figures["HookedTransformer forwards / flatness"] = {"target": 5, **ratio(usual, mine)}
    write("analysis", seconds | found, figures, checkpoints=n, measures=len(default))


def _flatness(run: gi.Run, model: HookedTransformer) -> dict[str, list[float]]:
    """Train loss under noise, all forms and sigmas and draws, by us and by a loop over the module."""
    snapshot, params = run.snapshot(run.steps[-1]), dict(flatness.MEASURE.params)
    left, right, label = snapshot.loss_pairs
    tokens = torch.stack([left, right, torch.full_like(left, run.config.task.p or 0)], dim=1)
    parameters = dict(model.named_parameters())
    start = {name: parameters[name].detach().clone() for name in snapshot.trained_weights}

    @torch.no_grad()
    def loop() -> None:
        draws = [draw(start, params["seed"] + i) for i in range(params["n_samples"])]
        for form, sigmas in params["sigmas"].items():
            scale = noise_scale(start, form)
            for sigma in sigmas:
                for xi in draws:
                    for name, value in perturb(start, scale, xi, sigma).items():
                        parameters[name].copy_(value)
                    logits = model(tokens)[:, -1].double()
                    float(torch.nn.functional.cross_entropy(logits, label))
        for name, value in start.items():
            parameters[name].copy_(value)

    return interleaved(
        {
            "loop of HookedTransformer forwards": loop,
            "flatness of a checkpoint": lambda: flatness.compute(snapshot, params=params),
        },
        rounds=5,
    )


if __name__ == "__main__":
    main()
