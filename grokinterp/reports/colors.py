"""The page's colours: the palette of `grokinterp.plotting`, and what it becomes on a dark ground."""

from typing import Any

LIFT = 0.25
"""So far a colour is moved towards white on a dark ground: the same hue, still told apart."""

DARK_PHASES = {
    "memorization": "#37291d",
    "memorised": "#2b2b2b",
    "learning": "#37291d",
    "circuit formation": "#1c2d3d",
    "cleanup": "#1b3126",
    "stable": "#1d1f21",
}
DARK_SPLITS = {"train": "#4FA3D9", "test": "#E8853D", "all": "#dddddd"}
CELLS = {
    "light": ["#0072B2", "#B3D4E8", "#D55E00", "#F6D5BD", "#555555", "#DDDDDD"],
    "dark": ["#4FA3D9", "#22455c", "#E8853D", "#57361f", "#bbbbbb", "#444444"],
}
"""train right, train wrong, test right, test wrong, unknown right, unknown wrong."""


def palette() -> dict[str, Any]:
    """Colours by name; `plotting` is imported here because it brings matplotlib."""
    from matplotlib.colors import to_hex

    from grokinterp import plotting

    residues = [to_hex(plotting.RESIDUES(i / 64)) for i in range(65)]
    return {
        "cycle": {"light": list(plotting.CYCLE), "dark": [_lifted(color) for color in plotting.CYCLE]},
        "keys": {"light": list(plotting.KEY_COLORS), "dark": [_lifted(color) for color in plotting.KEY_COLORS]},
        "splits": {"light": dict(plotting.SPLIT_COLORS), "dark": DARK_SPLITS},
        "phases": {"light": dict(plotting.PHASE_COLORS), "dark": DARK_PHASES},
        "residues": [[i / 64, color] for i, color in enumerate(residues)],
        "cells": CELLS,
    }


def _lifted(color: str) -> str:
    """A colour as it is drawn on a dark ground."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (channel + LIFT * (1 - channel) for channel in to_rgb(color))
    return to_hex((red, green, blue))
