"""Prieto et al. 2025: does floating point stop grokking without weight decay, and do StableMax and ⊥Grad help?"""
