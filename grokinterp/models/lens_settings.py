"""The fields of TransformerLens's configs that our networks set; the same in its versions 3 and 4."""

from typing import Any

import torch

from grokinterp.config import TransformerConfig
from grokinterp.tasks.layouts import Layout


def lens_settings(config: TransformerConfig, layout: Layout, n_answers: int, dtype: torch.dtype) -> dict[str, Any]:
    """Keyword arguments of a HookedTransformerConfig or a TransformerBridgeConfig, for a network on the CPU.

    The weights are not drawn, because ours are loaded. Post-LN and mixed attention are no fields of theirs; `None`
    stands for the normalization of a post-LN network.
    """
    return {
        "n_layers": config.n_layers,
        "d_model": config.d_model,
        "n_heads": config.n_heads,
        "d_head": config.head_width,
        "d_mlp": config.mlp_width,
        "n_ctx": layout.n_ctx,
        "d_vocab": layout.d_vocab,
        "d_vocab_out": n_answers,
        "act_fn": config.activation,
        "normalization_type": "LN" if config.normalization == "LN" else None,
        "attention_dir": "causal" if config.causal else "bidirectional",
        "init_weights": False,
        "dtype": dtype,
        "device": "cpu",
    }
