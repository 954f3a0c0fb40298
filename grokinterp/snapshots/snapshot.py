"""One network at one moment, in the coordinates of its operation.

Every measure of a checkpoint reads the same snapshot, so the forward runs once, and everything that
two measures need is a cached property here or in network.py. Natural coordinates are those in which the operation
is addition on Z_n (`Task.coordinates`): "natural" quantities are indexed by (i, j) and the answer i + j.
"""

import random
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokinterp.displays import snapshot_html
from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.cyclic import CyclicCoordinates, frequencies, sum_means
from grokinterp.harmonics.group_spectrum import key_irreps, product_means, trace_similarities
from grokinterp.harmonics.groups import GroupCoordinates
from grokinterp.harmonics.keys import KeyFrequencies, logit_rule, matrix_rule
from grokinterp.harmonics.neurons import NeuronSpectrum, neuron_spectrum
from grokinterp.models.weights import Weights
from grokinterp.snapshots.network import Network


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot(Network):
    """A network at a step, in the coordinates of its operation.

    Attributes:
        fixed_keys: The key frequencies of the run's last checkpoint; None for a lone snapshot,
            whose own are then used.
        fixed_irreps: The same for operations that are the product of a group that is not cyclic.
    """

    fixed_keys: KeyFrequencies | None = None
    fixed_irreps: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Snapshot({self.task.name}, step {self.step}, {sum(w.numel() for w in self.weights.values())} weights)"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return snapshot_html(self)

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
        return replace(self, weights={**self.weights, **changed}, fixed_keys=keys, on_grid=None)  # another network

    def in_float32(self) -> "Snapshot":
        """The same snapshot in float32, for estimates whose sampling error is far larger; itself
        where the engine computes in float64 only."""
        if not self.forward.any_dtype:
            return self
        return replace(self, weights={name: w.float() for name, w in self.weights.items()}, on_grid=None)

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
        if self.coordinates.n and self.has_neuron_logit_map:
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
