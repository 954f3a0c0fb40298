"""A multilayer perceptron on the operands alone: one-hot vectors, or embeddings, side by side.

With K operands of n elements, operand k as e_k (one-hot, n wide, or a row of W_E, d_model wide):

    h_0 = act([e_1 ... e_K] W_0 + b_0),   h_l = act(h_{l-1} W_l + b_l),   logits = h_last W_U + b_U

The product of a one-hot vector with a matrix is one of its rows, so with one-hot input W_0 is the embedding:
W_E (K n, d_hidden), operand k in rows k n to (k + 1) n, and there is no other W_0. The names follow
TransformerLens: layer l is blocks.l.mlp.W_in and b_in, its neurons blocks.l.mlp.hook_post.

With input "embedding" all operands read one table W_E (n, d_model); with "separate" operand k has its own, in rows
k n to (k + 1) n of W_E (K n, d_model), as in the MLPs of Chughtai et al. 2023 and Stander et al. 2024.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import MLPConfig
from grokinterp.models.activations import Activations
from grokinterp.models.dropout import Dropout
from grokinterp.models.spec import Weights, WeightSpec
from grokinterp.tasks.layouts import Layout


def square(x: Tensor) -> Tensor:
    """x^2, the activation of Gromov 2023 (2301.02679)."""
    return x.square()


ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "square": square}


def mlp_specs(config: MLPConfig, layout: Layout, n_answers: int) -> dict[str, WeightSpec]:
    """Every tensor, drawn as torch.nn.Linear and torch.nn.Embedding draw theirs.

    torch: weights and biases uniform within 1 / sqrt(inputs), embeddings normal with standard deviation 1.
    """
    n, width, one_hot = layout.n_operand_tokens, config.d_hidden, config.input == "onehot"
    inputs = layout.n_operands * (n if one_hot else config.d_model)
    specs = {}
    if one_hot:
        specs["embed.W_E"] = _uniform((inputs, width), "embedding", inputs)
    else:
        rows = layout.n_operands * n if config.input == "separate" else n
        specs["embed.W_E"] = WeightSpec((rows, config.d_model), "embedding", "normal", 1.0)
    for layer in range(config.n_layers):
        if layer or not one_hot:
            specs[f"blocks.{layer}.mlp.W_in"] = _uniform((inputs, width), "mlp", inputs)
        specs[f"blocks.{layer}.mlp.b_in"] = _bias(config, width, "mlp", inputs)
        inputs = width
    specs["unembed.W_U"] = _uniform((width, n_answers), "unembedding", width)
    specs["unembed.b_U"] = _bias(config, n_answers, "unembedding", width)
    return specs


def _uniform(shape: tuple[int, ...], role: str, inputs: int) -> WeightSpec:
    return WeightSpec(shape, role, "uniform", 1 / math.sqrt(inputs))


def _bias(config: MLPConfig, width: int, role: str, inputs: int) -> WeightSpec:
    kind = "uniform" if config.biases == "all" else "zeros"
    return WeightSpec((width,), role, kind, 1 / math.sqrt(inputs), bias=True)


class MLPForward:
    """Logits of pairs from a dict of weights; holds no weights."""

    any_dtype = True

    def __init__(self, config: MLPConfig, layout: Layout, dropout: Dropout | None = None) -> None:
        self.config, self.layout, self.dropout = config, layout, dropout
        self.act = ACTIVATIONS[config.activation]

    def __call__(
        self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]
    ) -> Float[Tensor, "B d_vocab_out"]:
        """Logits."""
        return self.activations(weights, left, right).logits

    def activations(self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]) -> Activations:
        """Logits and the last hidden layer; there is no attention (a pattern of no heads)."""
        hidden = self._dropped(self.act(self._first(weights, left, right)))
        for layer in range(1, self.config.n_layers):
            mlp = f"blocks.{layer}.mlp."
            hidden = self._dropped(self.act(hidden @ weights[mlp + "W_in"] + weights[mlp + "b_in"]))
        logits = hidden @ weights["unembed.W_U"] + weights["unembed.b_U"]
        return Activations(logits, hidden, logits.new_zeros(len(left), 0, self.layout.n_ctx))

    def _first(self, weights: Weights, left: Tensor, right: Tensor) -> Float[Tensor, "B d_hidden"]:
        """The first layer before its activation: one gathered row per operand, added up."""
        n, embed = self.layout.n_operand_tokens, weights["embed.W_E"]
        shared = self.config.input == "embedding"
        tables = [embed if shared else embed[k * n : (k + 1) * n] for k in range(self.layout.n_operands)]
        if self.config.input != "onehot":
            # the same product as of the embeddings side by side, over the vocabulary and not over the pairs
            parts = weights["blocks.0.mlp.W_in"].split(embed.shape[1])
            tables = [table @ part for table, part in zip(tables, parts, strict=True)]
        columns = self.layout.operands(left, right)
        pre = weights["blocks.0.mlp.b_in"]
        for table, column in zip(tables, columns, strict=True):
            pre = pre + table.index_select(0, column)
        return pre

    def _dropped(self, hidden: Tensor) -> Tensor:
        return hidden if self.dropout is None else self.dropout(hidden)
