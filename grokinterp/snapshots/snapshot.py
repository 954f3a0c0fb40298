"""One network at one moment: weights in float64, and what one forward over all pairs gives.

Every measure of a checkpoint reads the same snapshot, so the forward runs once, and everything that
two measures need is a cached property here. Natural coordinates are those in which the operation is
addition on Z_n (`Task.coordinates`): "natural" quantities are indexed by (i, j) and the answer i + j.
"""

import random
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.cyclic import CyclicCoordinates, frequencies, sum_means
from grokinterp.harmonics.group_spectrum import key_irreps, product_means, trace_similarities
from grokinterp.harmonics.groups import GroupCoordinates
from grokinterp.harmonics.keys import KeyFrequencies, logit_rule, matrix_rule
from grokinterp.harmonics.neurons import NeuronSpectrum, neuron_spectrum
from grokinterp.models.forward import Activations, Forward
from grokinterp.models.weights import Weights
from grokinterp.tasks import Task

CHUNK = 2048
"""Pairs per forward: its float64 arrays stay in the cache."""


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """A network at a step.

    Attributes:
        task: The operation.
        weights: Flat dict under TransformerLens names, float64.
        forward: Computes logits of pairs from weights.
        train_mask: `train_mask[a, b]` is True for training pairs; None where the split is unknown.
        step: Optimizer steps since the initialisation.
        fixed_keys: The key frequencies of the run's last checkpoint; None for a lone snapshot,
            whose own are then used.
        fixed_irreps: The same for operations that are the product of a group that is not cyclic.
        trained: Names of the weights that training changes; None for all of them.
    """

    task: Task
    weights: Weights
    forward: Forward
    train_mask: Bool[np.ndarray, "n_left n_right"] | None = None
    step: int = 0
    fixed_keys: KeyFrequencies | None = None
    fixed_irreps: tuple[str, ...] | None = None
    trained: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Snapshot({self.task.name}, step {self.step}, {sum(w.numel() for w in self.weights.values())} weights)"

    def with_keys(self, keys: KeyFrequencies | None, irreps: tuple[str, ...] | None = None) -> "Snapshot":
        """The same snapshot under other fixed key frequencies or irreps."""
        return replace(self, fixed_keys=keys, fixed_irreps=irreps)

    def with_weights(self, changed: Weights) -> "Snapshot":
        """The same network with some weights replaced: an ablation, a transplant.

        The key frequencies of a lone snapshot stay those it had, so that both are read alike.
        """
        keys = self.fixed_keys
        if keys is None and self.task.coordinates is not None and frequencies(self.task.coordinates.n):
            keys = self.own_keys
        return replace(self, weights={**self.weights, **changed}, fixed_keys=keys)

    # Weights ---------------------------------------------------------------------------------

    @cached_property
    def n_layers(self) -> int:
        """Number of blocks."""
        return 1 + max(int(name.split(".")[1]) for name in self.weights if name.startswith("blocks."))

    @cached_property
    def embedding(self) -> Float[Tensor, "n_operands d_model"]:
        """W_E of the operand tokens."""
        return self.weights["embed.W_E"][: self.task.layout.n_operand_tokens]

    @cached_property
    def unembedding(self) -> Float[Tensor, "n_answers d_model"]:
        """W_U transposed, one row an answer; columns that are no answers ('=') are dropped."""
        return self.weights["unembed.W_U"][:, : self.task.n_answers].T

    @cached_property
    def neuron_logit_map(self) -> Float[Tensor, "n_answers d_mlp"]:
        """W_L = W_out W_U of the last block, transposed: what each neuron adds to each logit."""
        w_out = self.weights[f"blocks.{self.n_layers - 1}.mlp.W_out"]
        return self.unembedding @ w_out.T

    @property
    def trained_weights(self) -> Weights:
        """The weights that training changes; frozen biases are not among them."""
        return {name: w for name, w in self.weights.items() if self.trained is None or name in self.trained}

    @cached_property
    def loss_pairs(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Left, right and answer of the training pairs (of all pairs where the split is unknown)."""
        mask = self.task.defined if self.train_mask is None else self.train_mask
        left, right = np.nonzero(mask)
        device = self.weights["embed.W_E"].device
        label = self.task.table[left, right]
        return torch.tensor(left, device=device), torch.tensor(right, device=device), torch.tensor(label, device=device)

    def loss_under(self, changed: Weights) -> Float[Tensor, ""]:
        """Mean cross-entropy over `loss_pairs` with some weights replaced; differentiable."""
        left, right, label = self.loss_pairs
        logits = self.forward({**self.weights, **changed}, left, right)[:, : self.task.n_answers]
        return torch.nn.functional.cross_entropy(logits.double(), label)

    def in_float32(self) -> "Snapshot":
        """The same snapshot in float32, for estimates whose sampling error is far larger; itself
        where the engine computes in float64 only."""
        if not self.forward.any_dtype:
            return self
        return replace(self, weights={name: w.float() for name, w in self.weights.items()})

    # Activations -----------------------------------------------------------------------------

    @cached_property
    def _grid(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        n_left, n_right = self.task.table.shape
        device = self.weights["embed.W_E"].device
        left = torch.arange(n_left, device=device).repeat_interleave(n_right)
        return left, torch.arange(n_right, device=device).repeat(n_left)

    @cached_property
    def activations(self) -> Activations:
        """Everything one forward over the whole grid leaves at the last position, a-major."""
        left, right = self._grid
        parts = []
        with torch.no_grad():
            for start in range(0, len(left), CHUNK):
                piece = slice(start, start + CHUNK)
                parts.append(self.forward.activations(self.weights, left[piece], right[piece]))
        return Activations(
            torch.cat([p.logits for p in parts])[:, : self.task.n_answers],
            torch.cat([p.neurons for p in parts]),
            torch.cat([p.pattern for p in parts]),
        )

    @cached_property
    def logits(self) -> Float[Tensor, "n_left n_right n_answers"]:
        """logits[a, b, c] at the last position, float64; undefined pairs are in it, mask them."""
        return self.activations.logits.reshape(*self.task.table.shape, -1)

    @cached_property
    def neuron_acts(self) -> Float[Tensor, "n_left n_right d_mlp"]:
        """Post-activation neurons of the last block at the last position."""
        return self.activations.neurons.reshape(*self.task.table.shape, -1)

    @cached_property
    def attention(self) -> Float[Tensor, "n_left n_right n_heads n_ctx"]:
        """Attention pattern of the last block from the last position."""
        pattern = self.activations.pattern
        return pattern.reshape(*self.task.table.shape, *pattern.shape[1:])

    @cached_property
    def labels(self) -> Int[Tensor, "n_left n_right"]:
        """The right answers; 0 where undefined, mask them with `task.defined`."""
        return torch.from_numpy(np.where(self.task.defined, self.task.table, 0)).to(self.logits.device)

    # Natural coordinates ---------------------------------------------------------------------

    @property
    def coordinates(self) -> CyclicCoordinates:
        """The isomorphism with Z_n.

        Raises:
            NotApplicableError: the operation has none, or Z_n is too small to have a frequency.
        """
        c = self.task.coordinates
        if c is None:
            raise NotApplicableError(f"needs an operation that is addition on some Z_n: {self.task.structure}")
        if not frequencies(c.n):
            raise NotApplicableError(f"needs at least one frequency; Z_{c.n} has none")
        return c

    @cached_property
    def natural_logits(self) -> Float[Tensor, "n n n_answers"]:
        """Logits over (i, j); the n answers in natural order come first, others (0 for x*y) after."""
        c = self.coordinates
        rest = np.setdiff1d(np.arange(self.task.n_answers), c.answer)
        return _reorder(self.natural_pairs(self.logits), 2, np.concatenate([c.answer, rest]))

    @cached_property
    def natural_train_mask(self) -> Bool[Tensor, "n n"] | None:
        """The training mask over (i, j)."""
        if self.train_mask is None:
            return None
        c = self.coordinates
        return torch.from_numpy(self.train_mask[np.ix_(c.left, c.right)]).to(self.logits.device)

    @cached_property
    def sum_means(self) -> Float[Tensor, "n n_answers"]:
        """Mean natural logits by (i + j) mod n; see `harmonics.cyclic.sum_means`."""
        return sum_means(self.natural_logits)

    @cached_property
    def neuron_spectrum(self) -> NeuronSpectrum:
        """Spectrum blocks, purity and frequency of the last block's neurons."""
        return neuron_spectrum(self.natural_pairs(self.neuron_acts))

    def natural_pairs(self, by_pair: Float[Tensor, "n_left n_right features"]) -> Float[Tensor, "n n features"]:
        """A quantity over (a, b) as one over (i, j)."""
        return _reorder(_reorder(by_pair, 0, self.coordinates.left), 1, self.coordinates.right)

    def natural_rows(self, what: str) -> Float[Tensor, "n features"]:
        """Rows of W_E, W_U or W_L (by name) in natural order, or in group order where there is none."""
        c = self.coordinates if self.task.coordinates is not None else self.group
        rows, order = {
            "W_E": (self.embedding, c.left),
            "W_U": (self.unembedding, c.answer),
            "W_L": (self.neuron_logit_map, c.answer),
        }[what]
        return rows[torch.from_numpy(order).to(rows.device)]

    # Group order -----------------------------------------------------------------------------

    @property
    def group(self) -> GroupCoordinates:
        """The isomorphism with the product of a group.

        Raises:
            NotApplicableError: the operation is no group's product, or of a group of one element.
        """
        found = self.task.group
        if found is None:
            raise NotApplicableError(f"needs an operation that is the product of a group: {self.task.structure}")
        if found.group.order < 2:
            raise NotApplicableError("needs a group with more than one element")
        return found

    @cached_property
    def group_logits(self) -> Float[Tensor, "n n n_answers"]:
        """Logits in group order; the right answer of (g, h) is g.h."""
        return self.logits if self.group and self.task.coordinates is None else self.natural_logits

    @cached_property
    def product_means(self) -> Float[Tensor, "n n_answers"]:
        """Mean logits by product g.h; see `harmonics.group_spectrum.product_means`."""
        if self.task.coordinates is not None:
            return self.sum_means
        return product_means(self.group_logits, torch.from_numpy(self.group.group.table).to(self.logits.device))

    @cached_property
    def trace_similarities(self) -> Float[Tensor, " n_irreps"]:
        """Of each nontrivial real irrep; see `harmonics.group_spectrum.trace_similarities`."""
        n = self.group.group.order
        return trace_similarities(self.group_logits[:, :, :n], self.product_means[:, :n], self.group.group)

    @property
    def own_irreps(self) -> tuple[str, ...]:
        """Key irreps of this snapshot: its key frequencies, or those of the largest trace similarities."""
        if self.task.coordinates is not None:
            return tuple(f"k={k}" for k in self.own_keys.ks)
        return key_irreps(self.trace_similarities, self.group.group)

    @property
    def key_irreps(self) -> tuple[str, ...]:
        """The run's key irreps, from its last checkpoint; a lone snapshot's own."""
        if self.task.coordinates is not None:
            return tuple(f"k={k}" for k in self.keys.ks)
        return self.fixed_irreps if self.fixed_irreps is not None else self.own_irreps

    # Key frequencies -------------------------------------------------------------------------

    @cached_property
    def own_keys(self) -> KeyFrequencies:
        """Key frequencies of this snapshot by the W_L rule (the logit rule without an MLP)."""
        if self.coordinates.n and f"blocks.{self.n_layers - 1}.mlp.W_out" in self.weights:
            return matrix_rule("W_L", self.natural_rows("W_L"))
        return logit_rule(self.sum_means)

    @property
    def keys(self) -> KeyFrequencies:
        """The run's key frequencies, from its last checkpoint; a lone snapshot's own."""
        return self.fixed_keys if self.fixed_keys is not None else self.own_keys

    @cached_property
    def random_keys(self) -> KeyFrequencies:
        """The control: as many frequencies as `keys`, drawn from the others; fewer where there are not enough."""
        others = [k for k in frequencies(self.coordinates.n) if k not in self.keys.ks]
        drawn = tuple(sorted(random.Random(0).sample(others, min(len(self.keys.ks), len(others)))))
        return KeyFrequencies(drawn, "random", self.keys.threshold)


def _reorder(x: Tensor, dim: int, index: Int[np.ndarray, " n"]) -> Tensor:
    """x at `index` along `dim`; x itself, not a copy, where that changes nothing."""
    if np.array_equal(index, np.arange(x.shape[dim])):
        return x
    return x.index_select(dim, torch.from_numpy(index).to(x.device))
