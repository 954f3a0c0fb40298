"""`python -m analyses.speedups --scale bench`."""

from analyses.study import main

main(__package__)
