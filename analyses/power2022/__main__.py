"""`python -m analyses.power2022 --scale bench`."""

from analyses.study import main

main(__package__)
