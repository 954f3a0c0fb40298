"""`python -m analyses.exploring2024 --scale bench`."""

from analyses.study import main

main(__package__)
