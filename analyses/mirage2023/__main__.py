"""`python -m analyses.mirage2023 --scale bench`."""

from analyses.study import main

main(__package__)
