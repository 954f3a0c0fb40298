"""Measures x checkpoints -> tables."""

from grokinterp.analysis.analyze import analyze
from grokinterp.analysis.outcome import Outcome

__all__ = ["Outcome", "analyze"]
