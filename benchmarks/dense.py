"""The baseline of analysis: run_with_cache on every pair, and the dense code of TransformerLens's grokking demo.

Per checkpoint: train and test loss and accuracy; Fourier norms of W_E; each neuron's share of energy in the best
frequency (3x3 blocks); coefficients of the cosines in the logits, as products with a (floor(p/2), p, p, p) cube that
is made once; restricted loss by projecting neurons; excluded loss a frequency at a time; principal components of W_E;
the sum of squared weights.
"""

import math

import torch
from torch import Tensor
from transformer_lens import HookedTransformer

import grokinterp as gi


def fourier(p: int) -> Tensor:
    """Rows constant, cos 1, sin 1, cos 2, ..., each of length 1."""
    x = torch.arange(p)
    rows = [torch.ones(p)]
    for k in range(1, p // 2 + 1):
        rows += [torch.cos(2 * math.pi * k * x / p), torch.sin(2 * math.pi * k * x / p)]
    return torch.stack([row / row.norm() for row in rows])


class DenseAnalysis:
    """What does not depend on the checkpoint is made once, and not timed."""

    def __init__(self, run: gi.Run) -> None:
        """`run` gives modulus, split and key frequencies."""
        self.p = p = run.config.task.p or 0
        self.keys = run.snapshot(run.steps[-1]).own_keys.ks
        self.basis = fourier(p)
        a, b = torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij")
        self.tokens = torch.stack([a.flatten(), b.flatten(), torch.full((p * p,), p)], dim=1)
        self.labels = ((a + b) % p).flatten()
        self.is_train = torch.from_numpy(run.train_mask).flatten()
        c = torch.arange(p)
        cubes = [torch.cos(2 * math.pi * k / p * (a[..., None] + b[..., None] - c)) for k in range(1, p // 2 + 1)]
        self.cubes = torch.stack([cube / cube.norm() for cube in cubes])

    @torch.no_grad()
    def __call__(self, model: HookedTransformer) -> dict[str, object]:
        """Every column, of one checkpoint."""
        p, logits = self.p, None
        logits, cache = model.run_with_cache(self.tokens)
        logits, neurons = logits[:, -1, :p], cache["post", 0, "mlp"][:, -1]
        w_e, w_l = model.embed.W_E[:p], model.blocks[0].mlp.W_out @ model.unembed.W_U[:, :p]
        spectrum = torch.einsum("xyz,fx,gy->fgz", neurons.view(p, p, -1), self.basis, self.basis)
        centred = logits - logits.mean(dim=1, keepdim=True)
        coefficients = (self.cubes * centred.view(1, p, p, p)).sum(dim=(1, 2, 3))
        return {
            "losses": self._losses(logits),
            "fourier_norms": (self.basis @ w_e).norm(dim=1),
            "neuron_share": self._blocks(spectrum),
            "coefficients": coefficients,
            "cosine_fve": coefficients.square().sum() / centred.square().sum(),
            "restricted": self._losses(logits - neurons @ w_l + self._keys_alone(neurons) @ w_l),
            "excluded": [self._losses(logits - self._at_key(logits, k)) for k in self.keys],
            "components": torch.linalg.svd(w_e - w_e.mean(dim=0)).S,
            "squared_weights": sum(float(w.square().sum()) for w in model.parameters()),
        }

    def _losses(self, logits: Tensor) -> tuple[float, float, float, float]:
        log_p = logits.double().log_softmax(dim=1).gather(1, self.labels[:, None])[:, 0]
        hit = (logits.argmax(dim=1) == self.labels).double()
        means = (-log_p[self.is_train], -log_p[~self.is_train], hit[self.is_train], hit[~self.is_train])
        return tuple(float(x.mean()) for x in means)  # ty: ignore[invalid-return-type]

    def _blocks(self, spectrum: Tensor) -> Tensor:
        energy = torch.zeros(self.p // 2, spectrum.shape[2])
        for k in range(1, self.p // 2 + 1):
            for x in (0, 2 * k - 1, 2 * k):
                for y in (0, 2 * k - 1, 2 * k):
                    if x or y:
                        energy[k - 1] += spectrum[x, y].square()
        return energy / (spectrum.square().sum(dim=(0, 1)) - spectrum[0, 0].square())

    def _waves(self, k: int) -> list[Tensor]:
        """cos w_k(a + b) and sin w_k(a + b) over all pairs, of length 1."""
        cos, sin = self.basis[2 * k - 1], self.basis[2 * k]
        waves = (torch.outer(cos, cos) - torch.outer(sin, sin), torch.outer(cos, sin) + torch.outer(sin, cos))
        return [(wave / wave.norm()).flatten() for wave in waves]

    def _keys_alone(self, neurons: Tensor) -> Tensor:
        kept = neurons.mean(dim=0).expand(len(neurons), -1).clone()
        for k in self.keys:
            for wave in self._waves(k):
                kept += wave[:, None] * (wave[:, None] * neurons).sum(dim=0)
        return kept

    def _at_key(self, logits: Tensor, k: int) -> Tensor:
        return sum(
            (wave[:, None] * (wave[:, None] * logits).sum(dim=0) for wave in self._waves(k)), torch.zeros_like(logits)
        )
