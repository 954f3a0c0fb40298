"""The MLP and the LSTM as HookedRootModules: hooks and run_with_cache, as a HookedTransformer has them.

They take token ids (batch, n_ctx) and compute plainly what mlp.py and lstm.py rewrite: the slow twins.

An LSTM's hooks see all positions of a layer at once, after the recurrence. What a hook on hook_h returns goes
on to the next layer or the unembedding, not back into the recurrence; hook_c, the cells, is to look at alone.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from grokinterp.config import LSTMConfig, MLPConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import Forward, build_forward
from grokinterp.models.mlp import ACTIVATIONS
from grokinterp.models.transformer import HookedRootModule, HookPoint
from grokinterp.models.weights import Weights, is_trained, weight_specs
from grokinterp.tasks.layouts import Layout


class _Layer(nn.Module):
    """The weights of one layer and its hook points; the network computes."""

    def __init__(self, weights: Mapping[str, Tensor], hooks: tuple[str, ...] = ()) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name, nn.Parameter(value))
        for hook in hooks:
            setattr(self, hook, HookPoint())


class _Hooked(HookedRootModule):
    """Layers under TransformerLens's names: embed, blocks.0.mlp (or lstm), ..., unembed."""

    def __init__(self, config: MLPConfig | LSTMConfig, layout: Layout, weights: Weights) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        part, hooks = ("mlp", ("hook_pre", "hook_post")) if config.kind == "mlp" else ("lstm", ("hook_h", "hook_c"))
        self.embed = _Layer(_under(weights, "embed."))
        self.hook_embed = HookPoint()
        layers = (_Layer(_under(weights, f"blocks.{i}.{part}."), hooks) for i in range(config.n_layers))
        self.blocks = nn.ModuleList(nn.ModuleDict({part: layer}) for layer in layers)
        self.unembed = _Layer(_under(weights, "unembed."))
        specs = weight_specs(config, layout, weights["unembed.W_U"].shape[1])
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(is_trained(specs[name], config))
        self.setup()

    def _read(self, hidden: Tensor) -> Tensor:
        return hidden @ self.unembed.W_U + self.unembed.b_U


class HookedMLP(_Hooked):
    """logits (batch, n_answers) of token ids (batch, n_ctx)."""

    def forward(self, tokens: Int[Tensor, "batch n_ctx"]) -> Float[Tensor, "batch n_answers"]:
        """See mlp.py."""
        assert isinstance(self.config, MLPConfig)
        act, one_hot = ACTIVATIONS[self.config.activation], self.config.input == "onehot"
        n, table = self.layout.n_operand_tokens, self.embed.W_E
        step = n if self.config.input == "separate" else 0  # from one operand's rows to the next one's
        parts = [F.one_hot(t, n).to(table) if one_hot else table[t + k * step] for k, t in enumerate(tokens.T)]
        hidden = self.hook_embed(torch.cat(parts, dim=1))
        for i, block in enumerate(self.blocks):
            layer = block["mlp"]
            w_in = table if one_hot and i == 0 else layer.W_in
            hidden = layer.hook_post(act(layer.hook_pre(hidden @ w_in + layer.b_in)))
        return self._read(hidden)


class HookedLSTM(_Hooked):
    """logits (batch, n_answers) of token ids (batch, n_ctx), read at the last position."""

    def forward(self, tokens: Int[Tensor, "batch n_ctx"]) -> Float[Tensor, "batch n_answers"]:
        """See lstm.py."""
        inputs = self.hook_embed(self.embed.W_E[tokens])
        for block in self.blocks:
            layer = block["lstm"]
            width = layer.W_hh.shape[0]
            h, c = (inputs.new_zeros(len(tokens), width) for _ in range(2))
            states, cells = [], []
            for x in inputs.unbind(dim=1):
                i, f, g, o = (x @ layer.W_ih + layer.b_ih + h @ layer.W_hh + layer.b_hh).split(width, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                states.append(h)
                cells.append(c)
            layer.hook_c(torch.stack(cells, dim=1))
            inputs = layer.hook_h(torch.stack(states, dim=1))
        return self._read(inputs[:, -1])


def forward_of_network(model: object, layout: Layout) -> Forward | None:
    """What computes as a HookedMLP or HookedLSTM does, from weights; None for anything else.

    Raises:
        GrokinterpError: it reads another layout.
    """
    if not isinstance(model, _Hooked):
        return None
    if model.layout != layout:
        raise GrokinterpError(
            f"the model reads {model.layout.name!r} over {model.layout.n_operand_tokens} operands, the task has "
            f"{layout.name!r} over {layout.n_operand_tokens}; pass the task it was trained on"
        )
    return build_forward(model.config, layout, model.unembed.W_U.shape[1])


def _under(weights: Weights, prefix: str) -> Weights:
    return {
        name.removeprefix(prefix): value.detach().clone() for name, value in weights.items() if name.startswith(prefix)
    }
