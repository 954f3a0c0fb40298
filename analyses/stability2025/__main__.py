"""`python -m analyses.stability2025 --scale bench`."""

from analyses.study import main

main(__package__)
