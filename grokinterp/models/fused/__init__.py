"""One block without LayerNorm, forward and backward written by hand over buffers that stay: the training step."""

from grokinterp.models.fused.cross_entropy import SMALLEST, cross_entropy_gradient_
from grokinterp.models.fused.network import FusedNetwork, LossGradient, is_fusible
from grokinterp.models.fused.pairs import PairBags

__all__ = ["SMALLEST", "FusedNetwork", "LossGradient", "PairBags", "cross_entropy_gradient_", "is_fusible"]
