"""`python -m analyses.universality2023 --scale bench`."""

from analyses.study import main

main(__package__)
