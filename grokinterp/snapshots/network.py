"""A network at one moment: its weights in float64, and what one forward over all pairs gives."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokinterp.errors import NotApplicableError
from grokinterp.models.forward import Activations, Forward
from grokinterp.models.fused import cross_entropy_gradient_
from grokinterp.models.pair_logits import PairLogits, is_by_hand
from grokinterp.models.weights import Weights
from grokinterp.tasks import Task

CHUNK = 2048
"""Pairs per forward: its float64 arrays stay in the cache."""


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A network at a step; what a `Snapshot` is before any coordinates.

    Attributes:
        task: The operation.
        weights: Flat dict under TransformerLens names, float64.
        forward: Computes logits of pairs from weights.
        train_mask: `train_mask[a, b]` is True for training pairs; None where the split is unknown.
        step: Optimizer steps since the initialisation.
        trained: Names of the weights that training changes; None for all of them.
        trained_labels: The labels that were trained on where they are not the answers (outliers, shuffled
            labels), over (a, b); None where they are.
        on_grid: The forward on all pairs, with buffers that somebody lends who makes many snapshots in turn and
            keeps nothing of any: allocating such sizes anew takes a tenth of the forward. None: its own.
    """

    task: Task
    weights: Weights
    forward: Forward
    train_mask: Bool[np.ndarray, "n_left n_right"] | None = None
    step: int = 0
    trained: tuple[str, ...] | None = None
    trained_labels: Int[np.ndarray, "n_left n_right"] | None = None
    on_grid: PairLogits | None = None

    # Weights ---------------------------------------------------------------------------------

    @cached_property
    def n_layers(self) -> int:
        """Number of blocks."""
        return 1 + max(int(name.split(".")[1]) for name in self.weights if name.startswith("blocks."))

    @cached_property
    def embedding(self) -> Float[Tensor, "n_operands d_model"]:
        """W_E of the operand tokens; of an MLP with a table for each operand the rows of the left one."""
        return self.weights["embed.W_E"][: self.task.layout.n_operand_tokens]

    @cached_property
    def unembedding(self) -> Float[Tensor, "n_answers d_model"]:
        """W_U transposed, one row an answer; columns that are no answers ('=') are dropped."""
        return self.weights["unembed.W_U"][:, : self.task.n_answers].T

    @cached_property
    def neuron_logit_map(self) -> Float[Tensor, "n_answers d_mlp"]:
        """W_L = W_out W_U of the last block, transposed: what each neuron adds to each logit.

        W_U itself for an MLP or an LSTM, whose last hidden layer is read directly.
        """
        w_out = self.weights.get(f"blocks.{self.n_layers - 1}.mlp.W_out")
        return self.unembedding if w_out is None else self.unembedding @ w_out.T

    @property
    def has_neuron_logit_map(self) -> bool:
        """Whether the logits are read from neurons by a linear map; not so in a transformer of attention alone."""
        return self.architecture != "transformer" or f"blocks.{self.n_layers - 1}.mlp.W_out" in self.weights

    @cached_property
    def operand_rows(self) -> tuple[slice, ...]:
        """Where in W_E the operands are: once for all, or for each in turn in an MLP with a table each (see mlp.py)."""
        n, k = self.task.layout.n_operand_tokens, self.task.layout.n_operands
        separate = self.architecture == "mlp" and len(self.weights["embed.W_E"]) == k * n
        return tuple(slice(i * n, (i + 1) * n) for i in range(k if separate else 1))

    @cached_property
    def architecture(self) -> str:
        """transformer, mlp or lstm, as the weights are those of."""
        if "blocks.0.lstm.W_hh" in self.weights:
            return "lstm"
        is_mlp = "blocks.0.mlp.b_in" in self.weights and "blocks.0.attn.W_Q" not in self.weights
        return "mlp" if is_mlp else "transformer"

    def require_attention(self) -> None:
        """Refuse an MLP or an LSTM.

        Raises:
            NotApplicableError: there is no attention.
        """
        if not self.attention.shape[2]:
            raise NotApplicableError(f"needs attention; an {self.architecture} has none")

    def require_shared_embedding(self) -> None:
        """Refuse a table for each operand, and sums of more than two terms.

        Raises:
            NotApplicableError: there are not two operands that share an embedding.
        """
        self.require_two_operands()
        if len(self.operand_rows) > 1:
            raise NotApplicableError("needs an embedding that both operands share; in this mlp each has its own")

    def require_two_operands(self) -> None:
        """Refuse sums of more terms.

        Raises:
            NotApplicableError: the operation has more than two operands.
        """
        if self.task.layout.n_operands > 2:
            raise NotApplicableError(f"needs two operands; {self.task.name} has {self.task.layout.n_operands}")

    @property
    def trained_weights(self) -> Weights:
        """The weights that training changes; frozen biases are not among them."""
        return {name: w for name, w in self.weights.items() if self.trained is None or name in self.trained}

    @cached_property
    def loss_pairs(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Left, right and label of the training pairs (of all pairs where the split is unknown)."""
        mask = self.task.defined if self.train_mask is None else self.train_mask
        left, right = np.nonzero(mask)
        device = self.weights["embed.W_E"].device
        label = (self.task.table if self.trained_labels is None else self.trained_labels)[left, right]
        return torch.tensor(left, device=device), torch.tensor(right, device=device), torch.tensor(label, device=device)

    @cached_property
    def _at_loss_pairs(self) -> PairLogits:
        left, right, _ = self.loss_pairs
        return PairLogits(self.forward, left, right)

    @torch.no_grad()
    def loss_at(self, changed: Weights) -> float:
        """`loss_under`, of which no gradient is wanted; faster for many perturbations in turn.

        One thread at a time: the snapshot keeps the buffers.
        """
        logits, label = self._at_loss_pairs({**self.weights, **changed})[:, : self.task.n_answers], self.loss_pairs[2]
        if not logits.T.is_contiguous():
            return float(torch.nn.functional.cross_entropy(logits.double(), label))
        # by hand answers come first, and along the pairs everything is twice as fast
        return -float(logits.T.double().log_softmax(dim=0).gather(0, label[None]).mean())

    def loss_and_gradient(self, changed: Weights) -> tuple[float, Weights] | None:
        """`loss_under` and its gradient with respect to all weights; None where autograd is to do it."""
        label, losses = self.loss_pairs[2], []
        if self._at_loss_pairs.is_by_hand and self.weights["unembed.W_U"].shape[1] != self.task.n_answers:
            return None  # outputs beyond the answers take no part in the loss

        def of_loss(logits: Tensor) -> Tensor:
            losses.append(float(torch.nn.functional.cross_entropy(logits.T.double(), label)))
            return cross_entropy_gradient_(logits, label)

        found = self._at_loss_pairs.gradients({**self.weights, **changed}, of_loss)
        return None if found is None else (losses[-1], found)

    def loss_under(self, changed: Weights) -> Float[Tensor, ""]:
        """Mean cross-entropy over `loss_pairs` with some weights replaced; differentiable."""
        left, right, label = self.loss_pairs
        logits = self.forward({**self.weights, **changed}, left, right)[:, : self.task.n_answers]
        return torch.nn.functional.cross_entropy(logits.double(), label)

    # Activations -----------------------------------------------------------------------------

    @cached_property
    def _grid(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        n_left, n_right = self.task.table.shape
        device = self.weights["embed.W_E"].device
        left = torch.arange(n_left, device=device).repeat_interleave(n_right)
        return left, torch.arange(n_right, device=device).repeat(n_left)

    def pairs_of_grid(self) -> PairLogits:
        """The forward on all pairs, with new buffers."""
        return PairLogits(self.forward, *self._grid)

    @cached_property
    def activations(self) -> Activations:
        """Everything one forward over the whole grid leaves at the last position, a-major."""
        left, right = self._grid
        if is_by_hand(self.forward, left.device):
            found = (self.on_grid or self.pairs_of_grid()).activations(self.weights)
            return replace(found, logits=found.logits[:, : self.task.n_answers].contiguous())
        parts = []
        with torch.no_grad():
            for pieces in zip(left.split(CHUNK), right.split(CHUNK), strict=True):
                parts.append(self.forward.activations(self.weights, *pieces))
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
    def _normalizer(self) -> tuple[Float[Tensor, "n_left n_right"], Float[Tensor, "n_left n_right"]]:
        """Of each pair the largest logit, and the log of the sum of exp(logits - it)."""
        peak = self.logits.amax(dim=2)
        return peak, (self.logits - peak[:, :, None]).exp_().sum(dim=2).log_()

    def losses(self, answers: Int[np.ndarray, "n_left n_right"]) -> Float[Tensor, "n_left n_right"]:
        """Cross-entropy of each pair in nats, with these for the right answers; an answer below 0 is read as 0.

        As log sum exp(z - max z) - (z_right - max z), which loses no digit of a small loss.
        """
        peak, log_sum = self._normalizer
        right = torch.from_numpy(np.maximum(answers, 0)).to(self.logits.device)
        return log_sum - (self.logits.gather(2, right[:, :, None])[:, :, 0] - peak)

    @cached_property
    def labels(self) -> Int[Tensor, "n_left n_right"]:
        """The right answers; 0 where undefined, mask them with `task.defined`."""
        return torch.from_numpy(np.where(self.task.defined, self.task.table, 0)).to(self.logits.device)
