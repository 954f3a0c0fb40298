"""The module that imports transformer_lens 3: real HookedTransformers from our configs.

4.0 removed HookedTransformer; see pyproject.toml for the pin, and bridge.py for what 4 has in its place.
"""

import copy
import threading
import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from grokinterp.config import TransformerConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.activations import Activations
from grokinterp.models.dropout import Dropout
from grokinterp.models.lens_settings import lens_settings
from grokinterp.models.lens_version import require_lens
from grokinterp.models.mixed_attention import mixing_hook
from grokinterp.models.weights import Weights, is_trained, weight_specs
from grokinterp.tasks.layouts import Layout

require_lens(3)
with warnings.catch_warnings():
    # Its dependencies warn about each other at import; none of it concerns our users.
    warnings.simplefilter("ignore")
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.components import LayerNorm, TransformerBlock
    from transformer_lens.hook_points import HookedRootModule, HookPoint

__all__ = [
    "HookPoint",
    "HookedForward",
    "HookedRootModule",
    "build_hooked",
    "drop_out",
    "forward_of",
    "load_hooked",
    "parameters_of",
]

_ONE_AT_A_TIME = threading.Lock()


def build_hooked(
    config: TransformerConfig, layout: Layout, n_answers: int, dtype: torch.dtype = torch.float32
) -> HookedTransformer:
    """A HookedTransformer of this shape on the CPU, its weights not yet ours (see `load_hooked`)."""
    cfg = HookedTransformerConfig(**lens_settings(config, layout, n_answers, dtype))
    model = _without_deprecation(lambda: HookedTransformer(cfg))
    if config.normalization == "post-LN":
        _normalize_sums(model)
    if config.attention_rate < 1:
        _mix_attention(model, config.attention_rate, layout.n_ctx, causal=config.causal)
    return model


class PostNormBlock(TransformerBlock):
    """A block that normalizes each residual sum, as Vaswani et al. 2017 and Power et al. 2022 do.

    resid_mid = ln1(resid_pre + attn(resid_pre)),   resid_post = ln2(resid_mid + mlp(resid_mid))
    """

    def forward(self, resid_pre: Tensor, *_: object, **__: object) -> Float[Tensor, "batch pos d_model"]:
        """resid_post; there is no cache of earlier positions and no padding here."""
        stream = self.hook_resid_pre(resid_pre)
        attn_out = self.hook_attn_out(self.attn(query_input=stream, key_input=stream, value_input=stream))
        stream = self.hook_resid_mid(self.ln1(stream + attn_out))
        return self.hook_resid_post(self.ln2(stream + self.hook_mlp_out(self.mlp(stream))))


def _normalize_sums(model: HookedTransformer) -> None:
    """Make each block of a model without LayerNorm a `PostNormBlock`."""
    for block in model.blocks:
        block.__class__ = PostNormBlock
        block.ln1, block.ln2 = LayerNorm(model.cfg), LayerNorm(model.cfg)
    model.ln_final = torch.nn.Identity()
    model.cfg.normalization_type = "post-LN"  # which TransformerLens refuses to fold, rather than folds wrongly
    model.setup()


def _mix_attention(model: HookedTransformer, rate: float, n_ctx: int, *, causal: bool) -> None:
    """Mix each block's attention with a constant 1 at every position that is seen, by permanent hooks."""
    mix = mixing_hook(rate, n_ctx, causal=causal)
    for block in range(model.cfg.n_layers):
        model.add_hook(f"blocks.{block}.attn.hook_pattern", mix, is_permanent=True)


def drop_out(model: HookedTransformer, dropout: Dropout) -> None:
    """Dropout, by permanent hooks, of what each sublayer adds to the residual stream ("residual dropout")."""

    def drop(tensor: Tensor, *, hook: object) -> Tensor:
        del hook
        return dropout(tensor)

    for block in range(model.cfg.n_layers):
        for name in ("attn", "mlp"):
            model.add_hook(f"blocks.{block}.hook_{name}_out", drop, is_permanent=True)


def load_hooked(config: TransformerConfig, layout: Layout, weights: Weights) -> HookedTransformer:
    """A HookedTransformer that holds these weights, in their dtype and on their device."""
    w_u = weights["unembed.W_U"]
    model = build_hooked(config, layout, w_u.shape[1], w_u.dtype)
    found = model.load_state_dict(weights, strict=False)
    # the attention mask and its fill value are TransformerLens's own buffers
    missing = [name for name in found.missing_keys if not name.endswith((".mask", ".IGNORE"))]
    if missing or found.unexpected_keys:
        odd = (missing or found.unexpected_keys)[0]
        raise GrokinterpError(f"the weights and config.model disagree about {odd}; correct config.json's model section")
    torch.nn.Module.to(model, w_u.device)  # HookedTransformer.to prints
    model.cfg.device = str(w_u.device)
    specs = weight_specs(config, layout, w_u.shape[1])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_trained(specs[name], config))
    return model


def parameters_of(model: torch.nn.Module) -> Weights:
    """Detached copies of the model's parameters under their TransformerLens names."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def forward_of(model: HookedTransformer, layout: Layout, dtype: torch.dtype) -> "HookedForward":
    """The forward of any HookedTransformer in memory, on a copy in `dtype`; the model is untouched.

    Raises:
        GrokinterpError: the model's vocabulary or context is too small for the layout.
    """
    if not isinstance(model, HookedTransformer):
        raise GrokinterpError(
            f"snapshot measures a HookedTransformer, not a {type(model).__name__}; put the weights into one first"
        )
    cfg = model.cfg
    if cfg.attn_only:
        raise GrokinterpError("snapshot needs an MLP in each block; this model is attention-only")
    if cfg.d_vocab < layout.d_vocab or cfg.n_ctx < layout.n_ctx:
        raise GrokinterpError(
            f"the layout {layout.name!r} has {layout.d_vocab} tokens in {layout.n_ctx} positions, but the "
            f"model has d_vocab {cfg.d_vocab} and n_ctx {cfg.n_ctx}; pass the task it was trained on"
        )
    twin = copy.deepcopy(model)
    torch.nn.Module.to(twin, dtype)
    twin.cfg.dtype = dtype
    twin.eval()
    return HookedForward(twin, layout)


class HookedForward:
    """The slow, obviously right engine: HookedTransformer.forward with the given weights."""

    any_dtype = False

    def __init__(self, model: HookedTransformer, layout: Layout) -> None:
        self.model, self.layout = model, layout

    def __call__(
        self, weights: Weights, left: Int[Tensor, " batch"], right: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch d_vocab_out"]:
        """Logits at the last position."""
        return self.sequence(weights, left, right)[:, -1]

    def sequence(
        self, weights: Weights, left: Int[Tensor, " batch"], right: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch n_ctx d_vocab_out"]:
        """Logits at every position."""
        tokens = self._tokens(left, right)
        if str(tokens.device) != str(self.model.cfg.device):
            # the mask and other buffers; the weights come with the call. Only where it changes something:
            # inside torch.func's transforms Module.to leaves wrapped buffers behind.
            torch.nn.Module.to(self.model, tokens.device)
            self.model.cfg.device = str(tokens.device)  # where TransformerLens moves the residual stream
        return functional_call(self.model, weights, (tokens,))

    def activations(self, weights: Weights, left: Int[Tensor, " batch"], right: Int[Tensor, " batch"]) -> Activations:
        """Logits, neurons and attention at the last position of the last block."""
        last = self.model.cfg.n_layers - 1
        kept: dict[str, Tensor] = {}

        def keep(value: Tensor, hook: object) -> None:
            kept[str(getattr(hook, "name", "")).rsplit(".", 1)[-1]] = value

        names = [f"blocks.{last}.mlp.hook_post", f"blocks.{last}.attn.hook_pattern"]
        with self.model.hooks(fwd_hooks=[(name, keep) for name in names]):
            logits = self(weights, left, right)
        return Activations(logits, kept["hook_post"][:, -1], kept["hook_pattern"][:, :, -1])

    def _tokens(self, left: Tensor, right: Tensor) -> Int[Tensor, "batch n_ctx"]:
        return torch.stack(self.layout.columns(left, right), dim=1)


def _without_deprecation(build):  # noqa: ANN001, ANN202
    with _ONE_AT_A_TIME, warnings.catch_warnings():  # which no two threads may be in
        warnings.filterwarnings("ignore", message=".*HookedTransformer.*", category=DeprecationWarning)
        return build()
