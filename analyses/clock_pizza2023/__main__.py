"""`python -m analyses.clock_pizza2023 --scale bench`."""

from analyses.study import main

main(__package__)
