"""`python -m analyses.lead_lag --scale bench`."""

from analyses.study import main

main(__package__)
