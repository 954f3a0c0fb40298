"""A run's losses and accuracies once more from its checkpoints, with how far rounding may move them."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import Forward, build_forward
from grokinterp.models.weights import Weights, n_outputs, weight_specs
from grokinterp.run import Run

MARGIN = 8.0
"""How many times the measured rounding of the logits another order of sums may round them."""

CHUNK = 4096

Value = tuple[float, float]
"""A number, and how much the one in the log may differ from it."""


def sound_weights(run: Run, step: int) -> Weights:
    """The checkpoint's weights, which are those of the config's model, and numbers.

    Raises:
        GrokinterpError: a damaged checkpoint, one of another model, or weights that are not numbers.
    """
    weights, path = run.weights(step), run.rundir.checkpoint_path(step)
    specs = weight_specs(run.config.model, run.task.layout, n_outputs(run.config, run.task))
    for name, spec in specs.items():
        found = None if name not in weights else tuple(weights[name].shape)
        wider = name.startswith("unembed.")  # more columns than answers are allowed there
        if found is None or found[:-1] != spec.shape[:-1] or (found[-1:] != spec.shape[-1:] and not wider):
            raise GrokinterpError(
                f"{path} holds weights of another model than config.json's ({name}); {run.rundir.way_back()}"
            )
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise GrokinterpError(f"{path} holds weights that are not numbers; {run.rundir.way_back()}")
    return weights


class Recomputation:
    """The columns of metrics.jsonl, computed from checkpoints in float64.

    Training computes its logits in the dtype of its weights, and may sum in another order. What that dtype rounds is
    measured, not guessed: with z64 and z32 the logits of the same weights in float64 and in float32,

        e = MARGIN * max |z32 - z64| * eps(dtype) / eps(float32)

    bounds the error of a logit in the log. Cross-entropy is Lipschitz with constant 2 in the largest change of a
    logit, so losses may differ by 2 e, and by 4 eps(loss dtype) (max |z64| + log n) from the loss's own arithmetic.
    A pair may be right in one and wrong in the other only if its answer's margin over the best other one is within
    2 e: accuracies may differ by that share of pairs, and are equal where there are none. The sum of squared weights
    is a sum in float64 both times, and agrees to 1e-12 of itself.
    """

    def __init__(self, run: Run) -> None:
        self._run, task = run, run.task
        left, right = task.pairs()
        labels = task.table if run.trained_labels is None else run.trained_labels
        self._left, self._right = torch.from_numpy(left), torch.from_numpy(right)
        self._label = torch.from_numpy(np.ascontiguousarray(labels[left, right]))
        is_train = None if run.train_mask is None else torch.from_numpy(run.train_mask[left, right])
        splits = {} if is_train is None else {"train": is_train, "test": ~is_train}
        self._splits = {name: chosen for name, chosen in splits.items() if bool(chosen.any())}
        size, settings = n_outputs(run.config, task), run.config.train
        self._forwards = {
            dtype: build_forward(run.config.model, task.layout, size, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        }
        self._eps, self._loss_eps = (torch.finfo(getattr(torch, d)).eps for d in (settings.dtype, settings.loss_dtype))

    def at(self, step: int) -> dict[str, Value]:
        """train_loss, test_loss (nats), train_accuracy, test_accuracy and weight_norm; without a split the last one.

        Raises:
            GrokinterpError: as `sound_weights`.
        """
        weights = sound_weights(self._run, step)
        norm = float(sum(weight.double().square().sum() for weight in weights.values()))
        found: dict[str, Value] = {"weight_norm": (norm, 1e-12 * norm)}
        if not self._splits:
            return found
        with torch.no_grad():
            exact, rounded = self._logits(weights, torch.float64), self._logits(weights, torch.float32)
        shift = float((exact - rounded).abs().max())
        error = MARGIN * shift * self._eps / torch.finfo(torch.float32).eps
        size = float(exact.abs().max()) + float(np.log(exact.shape[1]))
        loss = torch.logsumexp(exact, dim=1) - exact.gather(1, self._label[:, None])[:, 0]
        ahead = _margin(exact, self._label)
        for name, chosen in self._splits.items():
            tolerance = 2 * error + 4 * max(self._loss_eps, torch.finfo(torch.float64).eps) * size
            found[f"{name}_loss"] = (float(loss[chosen].mean()), tolerance)
            close = float((ahead[chosen].abs() <= 2 * error).double().mean())
            found[f"{name}_accuracy"] = (float((ahead[chosen] > 0).double().mean()), close + 1e-12)
        return found

    def _logits(self, weights: Weights, dtype: torch.dtype) -> Float[Tensor, "n answers"]:
        """Of all pairs, computed in `dtype`, given in float64."""
        forward: Forward = self._forwards[dtype]
        cast = {name: weight.to(dtype) for name, weight in weights.items()}
        parts = zip(self._left.split(CHUNK), self._right.split(CHUNK), strict=True)
        return torch.cat([forward(cast, a, b)[:, : self._run.task.n_answers].double() for a, b in parts])


def _margin(logits: Float[Tensor, "n answers"], label: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """How far the label's logit is above the largest other one."""
    own = logits.gather(1, label[:, None])[:, 0]
    others = logits.scatter(1, label[:, None], -torch.inf)
    return own - others.max(dim=1).values
