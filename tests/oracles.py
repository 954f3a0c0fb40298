"""Networks and functions whose right answers are known in closed form."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.harmonics.keys import KeyFrequencies
from grokinterp.models.forward import Activations, build_forward
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import Snapshot
from grokinterp.tasks import Task

PRIMES_AND_OTHERS = (2, 3, 5, 7, 12, 13)
"""Moduli of the property tests: the even prime, odd primes, and one composite."""


# Logit cubes ---------------------------------------------------------------------------------


def grid(p: int) -> tuple[Tensor, Tensor, Tensor]:
    """a, b, c as float64 arrays that broadcast to (p, p, p)."""
    x = torch.arange(p, dtype=torch.float64)
    return x[:, None, None], x[None, :, None], x[None, None, :]


def clock_logits(p: int, amplitudes: dict[int, float]) -> Tensor:
    """sum_k A_k cos w_k(a + b - c)."""
    a, b, c = grid(p)
    zero = torch.zeros(p, p, p, dtype=torch.float64)
    return zero + sum(A * torch.cos(2 * math.pi * k * (a + b - c) / p) for k, A in amplitudes.items())


def clock_loss(p: int, amplitudes: dict[int, float]) -> float:
    """log(1 + sum_{c != 0} exp(sum A_k (cos w_k c - 1))): the loss of the clock, at every pair."""
    margins = [sum(A * (math.cos(2 * math.pi * k * c / p) - 1) for k, A in amplitudes.items()) for c in range(1, p)]
    return math.log1p(math.fsum(math.exp(margin) for margin in margins))


def pizza_logits(p: int, amplitudes: dict[int, float]) -> Tensor:
    """sum_k A_k |cos(pi k (a - b) / p)| cos w_k(a + b - c)."""
    a, b, c = grid(p)
    zero = torch.zeros(p, p, p, dtype=torch.float64)
    return zero + sum(
        A * torch.cos(math.pi * k * (a - b) / p).abs() * torch.cos(2 * math.pi * k * (a + b - c) / p)
        for k, A in amplitudes.items()
    )


def pizza_share(p: int) -> float:
    """Share of a pizza's logit power on the sum directions of its one frequency, k coprime to p."""
    return 2 / (p * math.tan(math.pi / (2 * p))) ** 2 if p % 2 == 0 else 2 / (p * math.sin(math.pi / (2 * p))) ** 2


def pair_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label] of each pair, written out."""
    return logits.logsumexp(-1) - logits.gather(-1, labels[..., None])[..., 0]


def in_natural_order(task: Task, natural: Tensor, zero_column: float = 0.0) -> Tensor:
    """The cube logits[a, b, c] whose part over natural pairs and answers is `natural`.

    Pairs without natural coordinates get logits 0, and answers without any get `zero_column`.
    """
    c = task.coordinates
    cube = torch.zeros(*task.table.shape, task.n_answers, dtype=torch.float64)
    inside = torch.zeros(task.table.shape, dtype=torch.bool)
    inside[np.ix_(c.left, c.right)] = True
    cube[inside] = zero_column
    cube[np.ix_(c.left, c.right, c.answer)] = natural
    return cube


# Snapshots -----------------------------------------------------------------------------------


def build(operation: str, p: int) -> Task:
    """The task of an operation mod p."""
    return gi.build_task(gi.TaskConfig(operation=operation, p=p, frac_train=0.5))


@dataclass
class CubeForward:
    """Looks logits and neurons up; the weights play no part."""

    cube: Tensor
    neurons: Tensor
    any_dtype: bool = True

    def __call__(self, weights: dict[str, Tensor], left: Tensor, right: Tensor) -> Tensor:
        return self.cube[left, right]

    def activations(self, weights: dict[str, Tensor], left: Tensor, right: Tensor) -> Activations:
        pattern = torch.full((len(left), 1, 3), 1 / 3, dtype=torch.float64)
        return Activations(self.cube[left, right], self.neurons[left, right], pattern)


def snapshot_of_cube(
    task: Task,
    cube: Tensor,
    ks: tuple[int, ...] | None = None,
    *,
    train_mask: np.ndarray | None = None,
    neurons: Tensor | None = None,
    weights: dict[str, Tensor] | None = None,
) -> Snapshot:
    """A snapshot whose logits (and neurons) are the given ones; weights are random where not given."""
    if neurons is None:
        neurons = torch.zeros(*task.table.shape, 6, dtype=torch.float64)
    config = TransformerConfig(d_model=8, n_heads=1, d_mlp=neurons.shape[2], init_seed=3)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64) | (weights or {})
    keys = None if ks is None else KeyFrequencies(ks, "given", 0.25)
    return Snapshot(task, weights, CubeForward(cube, neurons), train_mask, fixed_keys=keys)


def untrained(operation: str, p: int, *, init_seed: int = 5, d_model: int = 24, d_mlp: int = 48) -> Snapshot:
    """A real network at initialisation, with a split: the null."""
    task = build(operation, p)
    config = TransformerConfig(d_model=d_model, n_heads=2, d_mlp=d_mlp, init_seed=init_seed)
    forward = build_forward(config, task.layout, task.n_answers, dtype=torch.float64)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    return Snapshot(task, weights, forward, gi.draw_train_mask(task, 0.5, 4))


def wave_rows(n: int, amplitudes: dict[int, float]) -> Tensor:
    """One row an element, two features A cos w_k x, A sin w_k x for each frequency."""
    x = torch.arange(n, dtype=torch.float64)
    waves = []
    for k, A in amplitudes.items():
        waves += [A * torch.cos(2 * math.pi * k * x / n), A * torch.sin(2 * math.pi * k * x / n)]
    return torch.stack(waves, dim=1)


def wave_weights(task: Task, amplitudes: dict[int, float]) -> dict[str, Tensor]:
    """W_E rows and W_L rows on circles: W_E = waves, W_out = identity, W_U = waves transposed."""
    c = task.coordinates
    rows = wave_rows(c.n, amplitudes)
    width = rows.shape[1]
    w_e = torch.zeros(task.layout.d_vocab, width, dtype=torch.float64)
    w_u = torch.zeros(width, task.n_answers, dtype=torch.float64)
    w_e[c.left] = rows
    w_u[:, c.answer] = rows.T
    eye = torch.eye(width, dtype=torch.float64)
    return {"embed.W_E": w_e, "blocks.0.mlp.W_out": eye, "unembed.W_U": w_u}


# A pizza with hand-set weights ---------------------------------------------------------------


@lru_cache(maxsize=16)
def pizza_model(p: int, amplitudes: tuple[tuple[int, float], ...]):
    """A one-layer HookedTransformer whose logits are `pizza_logits`, exactly.

    Attention is uniform and copies 3 * mean(embeddings) = u(a) + u(b), a vector of length
    2 |cos(pi k (a-b)/p)| at the angle pi k (a+b)/p, up to sign. 2p ReLU neurons a frequency read it
    at the angles pi m / p over the full circle; that grid is invariant under all these angles and
    the sign, so sum_m relu(R cos(t - phi_m)) cos(2 phi_m - w c) = gain R cos(2 t - w c) for every p.
    """
    from grokinterp.models.transformer import load_hooked

    count, width = len(amplitudes), 4 * len(amplitudes) + p
    task = build("x+y", p)
    config = TransformerConfig(d_model=width, n_heads=1, d_head=2 * count, d_mlp=2 * p * count)
    weights = init_weights(config, task.layout, p, torch.float64)
    weights = {name: torch.zeros_like(value) for name, value in weights.items()}
    x = torch.arange(p, dtype=torch.float64)
    phase = math.pi * torch.arange(2 * p, dtype=torch.float64) / p
    gain = float((phase.cos().clamp_min(0) * (2 * phase).cos()).sum())
    w_in, w_out = weights["blocks.0.mlp.W_in"], weights["blocks.0.mlp.W_out"]
    for i, (k, amplitude) in enumerate(amplitudes):
        w = 2 * math.pi * k / p
        weights["embed.W_E"][:p, 2 * i : 2 * i + 2] = torch.stack([torch.cos(w * x), torch.sin(w * x)], dim=1)
        mine = slice(2 * p * i, 2 * p * (i + 1))
        w_in[2 * count + 2 * i, mine] = phase.cos()
        w_in[2 * count + 2 * i + 1, mine] = phase.sin()
        w_out[mine, 4 * count :] = amplitude / (2 * gain) * torch.cos(2 * phase[:, None] - w * x)
    eye = torch.eye(2 * count, dtype=torch.float64)
    weights["blocks.0.attn.W_V"][0, : 2 * count] = 3 * eye
    weights["blocks.0.attn.W_O"][0, :, 2 * count : 4 * count] = eye
    weights["unembed.W_U"][4 * count :] = torch.eye(p, dtype=torch.float64)
    return load_hooked(config, task.layout, weights)


def pizza_snapshot(p: int, amplitudes: dict[int, float], train_mask: np.ndarray | None = None) -> Snapshot:
    """The pizza through the public door: `gi.snapshot` of a HookedTransformer in memory."""
    model = pizza_model(p, tuple(amplitudes.items()))
    return gi.snapshot(model, gi.TaskConfig(operation="x+y", p=p), train_mask)


# Quadratic losses ----------------------------------------------------------------------------


def positive_matrix(n: int, seed: int) -> Tensor:
    """A random positive definite matrix."""
    root = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T / n + 0.1 * torch.eye(n, dtype=torch.float64)


def quadratic(matrix: Tensor, centre: Tensor | float = 0.0):
    """f(x) = (x - centre)^T A (x - centre) / 2."""

    def function(x: Tensor) -> Tensor:
        return 0.5 * (x - centre) @ matrix @ (x - centre)

    return function


@dataclass
class QuadraticLoss:
    """Two logits (0, log(e^f - 1)), the right one first: the cross-entropy is f(x) > 0 on every pair.

    f(x) = floor + (x - centre)^T A (x - centre) / 2.
    """

    matrix: Tensor
    centre: Tensor
    labels: Tensor
    floor: float = 0.5
    any_dtype: bool = False

    def f(self, x):
        return self.floor + quadratic(self.matrix, self.centre)(x)

    def __call__(self, weights, left, right):
        wrong = torch.log(torch.expm1(self.f(weights["x"]) + 0 * weights["embed.W_E"].sum()))
        label = self.labels[left, right]
        return torch.stack([torch.where(label == 0, 0.0, wrong), torch.where(label == 1, 0.0, wrong)], dim=1)

    def activations(self, weights, left, right):
        raise NotImplementedError


def orthonormal_rows(dim: int, n: int, seed: int) -> Tensor:
    """`dim` orthonormal vectors of R^n."""
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(draw)[0].T.contiguous()


# Measures ------------------------------------------------------------------------------------


def measured(name: str, snapshot: Snapshot, part: str = "", **params) -> list[dict]:
    """The rows of a built-in measure, checked against its declared columns."""
    from grokinterp.measures.registry import builtin_measures
    from grokinterp.tables import check_rows

    measure = builtin_measures()[name]
    found = measure.parts[part].compute(snapshot, params={**measure.params, **params})
    check_rows(found, measure.parts[part].columns)
    return found


def one(rows: list[dict], **where) -> dict:
    """The only row with these cells."""
    (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return row
