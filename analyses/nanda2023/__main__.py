"""`python -m analyses.nanda2023 --scale bench`."""

from analyses.study import main

main(__package__)
