"""Chughtai et al. 2023: which irreducible representations of a group networks learn, seed by seed."""
