"""LSTM layers over the embedded tokens, read at the last position.

With x_t the embedding of token t (or the layer below), h and c starting at 0:

    [i f g o] = x_t W_ih + b_ih + h_{t-1} W_hh + b_hh
    c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g),   h_t = sigmoid(o) tanh(c_t),   logits = h_T W_U + b_U

as torch.nn.LSTM, whose weights are the transposes. The hidden state at the last position is what the
measures call neurons.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import LSTMConfig
from grokinterp.models.activations import Activations
from grokinterp.models.spec import Weights, WeightSpec
from grokinterp.tasks.layouts import Layout


def lstm_specs(config: LSTMConfig, layout: Layout, n_answers: int) -> dict[str, WeightSpec]:
    """Every tensor, drawn as torch.nn.Embedding, torch.nn.LSTM and torch.nn.Linear draw theirs.

    torch: embeddings normal with standard deviation 1, all else uniform within 1 / sqrt(d_hidden).
    """
    width, bound = config.d_hidden, 1 / math.sqrt(config.d_hidden)

    def bias(size: int, role: str) -> WeightSpec:
        return WeightSpec((size,), role, "uniform" if config.biases == "all" else "zeros", bound, bias=True)

    specs = {"embed.W_E": WeightSpec((layout.d_vocab, config.d_model), "embedding", "normal", 1.0)}
    for layer in range(config.n_layers):
        name, inputs = f"blocks.{layer}.lstm.", width if layer else config.d_model
        specs[name + "W_ih"] = WeightSpec((inputs, 4 * width), "recurrent", "uniform", bound)
        specs[name + "W_hh"] = WeightSpec((width, 4 * width), "recurrent", "uniform", bound)
        specs[name + "b_ih"] = bias(4 * width, "recurrent")
        specs[name + "b_hh"] = bias(4 * width, "recurrent")
    specs["unembed.W_U"] = WeightSpec((width, n_answers), "unembedding", "uniform", bound)
    specs["unembed.b_U"] = bias(n_answers, "unembedding")
    return specs


class LSTMForward:
    """Logits of pairs from a dict of weights; holds no weights."""

    any_dtype = True

    def __init__(self, config: LSTMConfig, layout: Layout) -> None:
        self.config, self.layout = config, layout

    def __call__(
        self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]
    ) -> Float[Tensor, "B d_vocab_out"]:
        """Logits."""
        return self.activations(weights, left, right).logits

    def activations(self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]) -> Activations:
        """Logits and the last layer's hidden state at the last position; there is no attention."""
        gates = self._first_gates(weights, left, right)
        states: list[Tensor] = []
        for layer in range(self.config.n_layers):
            name = f"blocks.{layer}.lstm."
            if layer:
                gates = [state @ weights[name + "W_ih"] for state in states]
            states = _recur(gates, weights[name + "W_hh"], weights[name + "b_ih"] + weights[name + "b_hh"])
        logits = states[-1] @ weights["unembed.W_U"] + weights["unembed.b_U"]
        return Activations(logits, states[-1], logits.new_zeros(len(left), 0, self.layout.n_ctx))

    def _first_gates(self, weights: Weights, left: Tensor, right: Tensor) -> list[Float[Tensor, "B gates"]]:
        """x_t W_ih of the first layer at each position: a table over the vocabulary, gathered."""
        table = weights["embed.W_E"] @ weights["blocks.0.lstm.W_ih"]
        return [table.index_select(0, column) for column in self.layout.columns(left, right)]


def _recur(gates: list[Tensor], w_hh: Tensor, bias: Tensor) -> list[Float[Tensor, "B d_hidden"]]:
    """The hidden state at each position, from the inputs' share of the gates."""
    states: list[Tensor] = []
    cell = torch.zeros_like(gates[0][..., : w_hh.shape[0]])
    for gate in gates:
        total = gate + bias + (states[-1] @ w_hh if states else 0.0)
        i, f, g, o = total.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        states.append(o.sigmoid() * cell.tanh())
    return states
