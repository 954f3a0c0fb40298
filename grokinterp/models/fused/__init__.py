"""One block without LayerNorm, forward and backward written by hand over buffers that stay: the training step."""

from grokinterp.models.fused.network import FusedNetwork, is_fusible
from grokinterp.models.fused.pairs import PairBags

__all__ = ["FusedNetwork", "PairBags", "is_fusible"]
