"""The fast engine: an exact rewrite of HookedTransformer.forward for two-operand tasks.

Three facts make it fast, none of them an approximation:

1. Only the last position is read, so the last block needs its queries, MLP and unembedding there.
2. Before the first block the residual stream at a position depends on the token there alone. Keys,
   values, attention scores and every linear map of them are tables over the vocabulary (`Rows`),
   computed once a step and gathered per pair.
3. Without LayerNorm neighbouring linear maps fold: W_O W_in, W_O W_U, W_out W_U.

Shape letters: B pairs, T positions, H heads, K d_head, D d_model, M d_mlp, V rows of a table.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import TransformerConfig
from grokinterp.models.activations import Activations
from grokinterp.models.spec import Weights
from grokinterp.tasks.layouts import Layout

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


@dataclass(frozen=True, eq=False)
class Rows:
    """A quantity that depends on one token: a table (V, ...) and each pair's row in it.

    `index` is None for a constant token, whose table has one row that broadcasts over the pairs.
    """

    table: Tensor
    index: Int[Tensor, " B"] | None

    def map(self, weight: Tensor) -> "Rows":
        """A linear map of the table; as cheap as the vocabulary is small."""
        return Rows(self.table @ weight, self.index)

    def shift(self, bias: Tensor) -> "Rows":
        """The table plus a bias."""
        return Rows(self.table + bias, self.index)

    def gather(self) -> Tensor:
        """(B, ...), or (1, ...) for a constant token."""
        return self.table if self.index is None else self.table.index_select(0, self.index)


class FastForward:
    """Logits at the last position from a dict of weights; holds no weights."""

    any_dtype = True

    def __init__(self, config: TransformerConfig, layout: Layout) -> None:
        if config.normalization != "none":
            raise ValueError("the fast engine has no LayerNorm")
        self.config, self.layout = config, layout
        self.act = ACTIVATIONS[config.activation]

    def __call__(
        self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]
    ) -> Float[Tensor, "B d_vocab_out"]:
        """Logits at the last position."""
        return self._run(weights, left, right)[0]

    def activations(self, weights: Weights, left: Int[Tensor, " B"], right: Int[Tensor, " B"]) -> Activations:
        """Logits, neurons and attention at the last position of the last block."""
        logits, neurons, pattern = self._run(weights, left, right)
        batch = left.shape[0]
        return Activations(logits.expand(batch, -1), neurons.expand(batch, -1), pattern.expand(batch, -1, -1))

    def _run(self, weights: Weights, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slots = self._embed(weights, left, right)
        last = self.config.n_layers - 1
        if last == 0:
            z, pattern = self._table_attention(self._projections(weights, left, right), len(slots) - 1)
            return (*self._read_folded(weights, slots[-1], z), pattern)
        stream = self._first_block(weights, slots, left, right)
        for block in range(1, last):
            z, _ = self._dense_attention(weights, block, stream, stream)
            stream = self._add_mlp(weights, block, stream + self._attn_out(weights, block, z))
        z, pattern = self._dense_attention(weights, last, stream, stream[:, -1:])
        mid = stream[:, -1] + self._attn_out(weights, last, z[:, 0])
        return (*self._read(weights, last, mid), pattern[:, 0])

    def _embed(self, weights: Weights, left: Tensor, right: Tensor) -> list[Rows]:
        """resid_pre of block 0 at each position, as tables over the vocabulary."""
        return self._tables(weights["embed.W_E"], weights["pos_embed.W_pos"], left, right)

    def _tables(self, embed: Tensor, pos: Tensor, left: Tensor, right: Tensor) -> list[Rows]:
        """For each position, the rows of its token (V, ...) plus the position's own (T, ...)."""
        rows = []
        for t, slot in enumerate(self.layout.slots):
            if slot.kind == "constant":
                rows.append(Rows(embed[slot.token : slot.token + 1] + pos[t], None))
            else:
                index = self.layout.column(slot, left, right)
                rows.append(Rows(embed[: self.layout.n_operand_tokens] + pos[t], index))
        return rows

    def _projections(self, weights: Weights, left: Tensor, right: Tensor) -> dict[str, list[Rows]]:
        """Queries, keys and values of block 0 at each position, as tables (V, H, K).

        One product serves all three and all positions, because tokens and positions add.
        """
        attn, config = "blocks.0.attn.", self.config
        joint = torch.cat([weights[attn + f"W_{n}"] for n in "QKV"]).transpose(0, 1).flatten(1)
        bias = torch.cat([weights[attn + f"b_{n}"].flatten() for n in "QKV"])
        pos = weights["pos_embed.W_pos"]
        rows = torch.cat([weights["embed.W_E"], pos]) @ joint
        rows = rows.view(-1, 3, config.n_heads, config.head_width)
        tokens, positions = rows.split([len(rows) - len(pos), len(pos)])
        positions = positions + bias.view(3, config.n_heads, config.head_width)
        return {name: self._tables(tokens[:, i], positions[:, i], left, right) for i, name in enumerate("QKV")}

    def _table_attention(self, tables: dict[str, list[Rows]], t: int) -> tuple[Tensor, Tensor]:
        """Block 0 at query position t: z (B, H, K) and pattern (B, H, T)."""
        n_ctx = self.layout.n_ctx
        n_seen = t + 1 if self.config.causal else n_ctx
        keys, values = tables["K"][:n_seen], tables["V"][:n_seen]
        scores = torch.broadcast_tensors(*[_scores(tables["Q"][t], key) for key in keys])
        pattern = self._mixed(torch.stack(scores, dim=-1).div(math.sqrt(self.config.head_width)).softmax(dim=-1))
        z = pattern[..., 0, None] * values[0].gather()
        for s, value in enumerate(values[1:], start=1):
            z = z + pattern[..., s, None] * value.gather()
        return z, F.pad(pattern, (0, n_ctx - n_seen)) if n_seen < n_ctx else pattern

    def _first_block(self, weights: Weights, slots: list[Rows], left: Tensor, right: Tensor) -> Float[Tensor, "B T D"]:
        """Block 0 at every position, for models with more blocks."""
        tables = self._projections(weights, left, right)
        columns = []
        for t, slot in enumerate(slots):
            z, _ = self._table_attention(tables, t)
            mid = slot.gather() + self._attn_out(weights, 0, z)
            columns.append(self._add_mlp(weights, 0, mid).expand(len(left), -1))
        return torch.stack(columns, dim=1)

    def _dense_attention(
        self, weights: Weights, block: int, stream: Float[Tensor, "B T D"], queries: Float[Tensor, "B Q D"]
    ) -> tuple[Float[Tensor, "B Q H K"], Float[Tensor, "B Q H T"]]:
        """Attention of a later block; `queries` are the last Q positions of the stream."""
        attn = f"blocks.{block}.attn."
        q = torch.einsum("bqd,hdk->bqhk", queries, weights[attn + "W_Q"]) + weights[attn + "b_Q"]
        k = torch.einsum("btd,hdk->bthk", stream, weights[attn + "W_K"]) + weights[attn + "b_K"]
        v = torch.einsum("btd,hdk->bthk", stream, weights[attn + "W_V"]) + weights[attn + "b_V"]
        scores = torch.einsum("bqhk,bthk->bqht", q, k) / math.sqrt(self.config.head_width)
        n_query, n_key = queries.shape[1], stream.shape[1]
        ahead = None
        if self.config.causal and n_query > 1:
            ahead = torch.ones(n_query, n_key, dtype=torch.bool, device=stream.device).triu(1)
            scores = scores.masked_fill(ahead[None, :, None, :], -torch.inf)
        pattern = self._mixed(scores.softmax(dim=-1))
        if ahead is not None and self.config.attention_rate < 1:  # the constant part looks back only, too
            pattern = pattern.masked_fill(ahead[None, :, None, :], 0.0)
        return torch.einsum("bqht,bthk->bqhk", pattern, v), pattern

    def _mixed(self, pattern: Tensor) -> Tensor:
        """Softmax attention mixed with a constant 1 (Zhong et al. 2023: r pattern + 1 - r)."""
        rate = self.config.attention_rate
        return pattern if rate == 1 else rate * pattern + (1 - rate)

    def _attn_out(self, weights: Weights, block: int, z: Tensor) -> Tensor:
        """z W_O + b_O, for z (..., H, K)."""
        w_o = weights[f"blocks.{block}.attn.W_O"]
        return z.flatten(-2) @ w_o.flatten(0, 1) + weights[f"blocks.{block}.attn.b_O"]

    def _add_mlp(self, weights: Weights, block: int, mid: Tensor) -> Tensor:
        """resid_post from resid_mid."""
        mlp = f"blocks.{block}.mlp."
        post = self.act(mid @ weights[mlp + "W_in"] + weights[mlp + "b_in"])
        return mid + post @ weights[mlp + "W_out"] + weights[mlp + "b_out"]

    def _read(self, weights: Weights, block: int, mid: Float[Tensor, "B D"]) -> tuple[Tensor, Tensor]:
        """Logits and neurons of the last block from resid_mid, with W_out W_U folded."""
        mlp = f"blocks.{block}.mlp."
        w_u = weights["unembed.W_U"]
        post = self.act(mid @ weights[mlp + "W_in"] + weights[mlp + "b_in"])
        skip = (mid + weights[mlp + "b_out"]) @ w_u + weights["unembed.b_U"]
        return skip + post @ (weights[mlp + "W_out"] @ w_u), post

    def _read_folded(
        self, weights: Weights, last: Rows, z: Float[Tensor, "B H K"]
    ) -> tuple[Float[Tensor, "B d_vocab_out"], Float[Tensor, "B M"]]:
        """As `_read`, for a single block: resid_mid = last + z W_O is never formed.

        The maps W_O W_in and W_O W_U are applied to z in one product, those of the skip to a table.
        """
        w_in, w_u = weights["blocks.0.mlp.W_in"], weights["unembed.W_U"]
        w_o = weights["blocks.0.attn.W_O"].flatten(0, 1)
        skip = last.shift(weights["blocks.0.attn.b_O"])
        from_z = z.flatten(-2) @ torch.cat([w_o @ w_in, w_o @ w_u], dim=1)
        pre_z, logits_z = from_z.split([w_in.shape[1], w_u.shape[1]], dim=1)
        pre_skip = skip.map(w_in).shift(weights["blocks.0.mlp.b_in"])
        post = self.act(pre_z + pre_skip.gather())
        direct = skip.shift(weights["blocks.0.mlp.b_out"]).map(w_u)
        logits = logits_z + direct.shift(weights["unembed.b_U"]).gather()
        return logits + post @ (weights["blocks.0.mlp.W_out"] @ w_u), post


def _scores(query: Rows, key: Rows) -> Float[Tensor, "B H"]:
    """q . k for each pair and head; over tables first where that is smaller than over pairs."""
    if query.index is None:
        return Rows((key.table * query.table).sum(-1), key.index).gather()
    if key.index is None or key.index is query.index:
        return Rows((query.table * key.table).sum(-1), query.index).gather()
    table = torch.einsum("uhk,vhk->uvh", query.table, key.table)
    return table[query.index, key.index]
