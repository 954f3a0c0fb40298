"""Measures x checkpoints -> tables."""

from grokinterp.analysis.analyze import Outcome, analyze

__all__ = ["Outcome", "analyze"]
