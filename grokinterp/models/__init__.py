"""Weights under TransformerLens names, and two engines that compute the same logits from them."""
