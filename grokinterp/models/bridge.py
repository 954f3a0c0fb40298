"""TransformerLens 4's native TransformerBridge with our weights; no other module imports that version.

It computes what the HookedTransformer of the same weights computes, under the same names of hooks. Its b_U is a
buffer and is not trained further.
"""

from typing import Any

from grokinterp.config import ModelConfig, TransformerConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.lens_settings import lens_settings
from grokinterp.models.lens_version import require_lens
from grokinterp.models.mixed_attention import mixing_hook
from grokinterp.models.weights import Weights
from grokinterp.tasks.layouts import Layout


def load_bridge(config: ModelConfig, layout: Layout, weights: Weights) -> Any:
    """A TransformerBridge that holds these weights, in their dtype and on the CPU.

    Raises:
        GrokinterpError: the network is none that TransformerLens 4 can build, or it is not installed.
    """
    if not isinstance(config, TransformerConfig):
        raise GrokinterpError(f"a TransformerBridge is a transformer; this network is an {config.kind}")
    if config.normalization == "post-LN":
        raise GrokinterpError("TransformerLens 4 normalizes before each sublayer; it can't build a post-LN network")
    require_lens(4)
    from transformer_lens import TransformerBridge  # ty: ignore[missing-module-member] - it looks at version 3
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.conversion_utils import convert_tl_checkpoint  # ty: ignore[missing-module-member]

    dtype = weights["unembed.W_U"].dtype
    cfg = TransformerBridgeConfig(**lens_settings(config, layout, weights["unembed.W_U"].shape[1], dtype))
    bridge = TransformerBridge.boot_native(cfg, device="cpu", dtype=dtype)
    bridge.load_state_dict(convert_tl_checkpoint(weights, cfg), strict=True)
    if config.attention_rate < 1:
        mix = mixing_hook(config.attention_rate, layout.n_ctx, causal=config.causal)
        for block in range(config.n_layers):
            bridge.add_hook(f"blocks.{block}.attn.hook_pattern", mix, is_permanent=True)
    return bridge
