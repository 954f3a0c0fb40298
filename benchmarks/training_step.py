"""One training step: the usual one, ours by autograd, ours by hand, and the matrix products that none can avoid."""

import tempfile
from collections.abc import Callable
from typing import Any

import torch

import grokinterp as gi
from benchmarks.clock import interleaved, ratio, write
from benchmarks.usual import UsualLoop
from grokinterp.overrides import override
from grokinterp.runs.rundir import RunDir
from grokinterp.training.differentiate import ByAutograd
from grokinterp.training.step import Stepper
from grokinterp.training.trainer import Trainer, build_trainer

ROUNDS, CALLS = 15, 8


def trainer_of(config: gi.RunConfig) -> Trainer:
    """A trainer at step 0 that leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        return build_trainer(config, gi.build_task(config.task), RunDir(folder), torch.device("cpu"))


def by_autograd(trainer: Trainer) -> Trainer:
    """The same trainer, with gradients through FastForward and autograd."""
    trained = {name: w for name, w in trainer.weights.items() if w.requires_grad}
    slow = ByAutograd(trainer.config, trainer.forward, trained)
    trainer.stepper = Stepper(trainer.config, trainer.weights, trained, slow)
    return trainer


def products(trainer: Trainer) -> Callable[[], None]:
    """The nine products over the training pairs, into tensors that are there already.

    Forward z (W_O W_in), z (W_O W_U) and neurons W_L; backward two for each. All as torch would have them, but for
    the gradient of W_L, which is faster transposed.
    """
    n, answers = len(trainer.train_pairs), trainer.task.n_answers
    d, m = trainer.config.model.d_model, trainer.config.model.mlp_width
    z, w_in, w_u, w_l = torch.randn(n, d), torch.randn(d, m), torch.randn(d, answers), torch.randn(m, answers)
    pre, logits, d_pre, dz = torch.empty(n, m), torch.empty(n, answers), torch.randn(n, m), torch.empty(n, d)
    d_in, d_u, d_l = torch.empty(d, m), torch.empty(d, answers), torch.empty(answers, m)
    d_logits = torch.randn(n, answers)

    def run() -> None:
        torch.mm(z, w_in, out=pre)
        torch.mm(z, w_u, out=logits)
        torch.mm(pre, w_l, out=logits)
        torch.mm(d_logits, w_l.T, out=d_pre)
        torch.mm(d_logits.T, pre, out=d_l)
        torch.mm(d_pre, w_in.T, out=dz)
        torch.mm(z.T, d_pre, out=d_in)
        torch.mm(d_logits, w_u.T, out=dz)
        torch.mm(z.T, d_logits, out=d_u)

    return run


def main() -> None:
    """p = 113 and p = 59."""
    seconds: dict[str, list[float]] = {}
    figures: dict[str, Any] = {}
    for p in (113, 59):
        config = override(gi.presets.nanda2023(), {"task": {"p": p}})
        trainer = trainer_of(config)
        found = interleaved(
            {
                f"usual step, p = {p}": UsualLoop(config).step,
                f"ours by autograd, p = {p}": by_autograd(trainer_of(config)).update,
                f"ours by hand, p = {p}": trainer.update,
                f"products alone, p = {p}": products(trainer),
            },
            rounds=ROUNDS,
            calls=CALLS,
        )
        usual, autograd, by_hand, floor = found.values()
        figures[f"usual step / ours, p = {p}"] = {"target": 6 if p == 113 else 7, **ratio(usual, by_hand)}
        figures[f"products / ours, p = {p}"] = {"target": 0.78 if p == 113 else 0.62, **ratio(floor, by_hand)}
        figures[f"autograd / by hand, p = {p}"] = ratio(autograd, by_hand)
        figures[f"usual step / products, p = {p}"] = ratio(usual, floor)
        seconds |= found
    write("training_step", seconds, figures)


if __name__ == "__main__":
    main()
