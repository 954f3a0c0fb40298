"""Nanda et al. 2023 (arXiv 2301.05217): the mainline run, five seeds, and its phases found automatically."""
