"""What the page holds of the maps over pairs and of the circles, packed."""

from collections.abc import Callable

import numpy as np

from grokinterp.reports.absent import AbsentError
from grokinterp.reports.arrays import exact, rounded
from grokinterp.reports.curves import View
from grokinterp.reports.maps import Film
from grokinterp.run import Run


def _require(found: Film, source: str) -> None:
    if not found.steps(source):
        raise AbsentError(found.absent.get(source, "there are neither checkpoints nor tables to draw it from"))


def logits(name: str) -> Callable[[Run, Film], View]:
    """One logit over the pairs: the correct one, or the fixed answer's."""

    def collect(_run: Run, found: Film) -> View:
        _require(found, "maps")
        about = found.about["maps"]
        maps = {name: rounded(found.stacked("maps", name))}
        unit = "logit (nats)" if name == "correct" else f"logit of answer {about['answer']} (nats)"
        return {"steps": found.steps("maps"), "axes": about["axes"], "maps": maps, "unit": unit}

    return collect


def table(run: Run, found: Film) -> View:
    """The right answers, the network's at each frame, and the split: 0 train, 1 test, 2 unknown."""
    _require(found, "cells")
    about = found.about["cells"]
    width = "u1" if run.task.n_answers < 255 else "<u2"
    empty = 255 if width == "u1" else 65535

    def whole(array: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(array), array, empty)

    predicted = exact([whole(frame) for frame in found.stacked("cells", "predicted")], width)
    right, split = exact(whole(about["right"]), width), exact(whole(about["split"]), "u1")
    return {
        "steps": found.steps("cells"),
        "axes": about["axes"],
        "predicted": predicted,
        "right": right,
        "split": split,
        "empty": empty,
    }


def attention(_run: Run, found: Film) -> View:
    """A map a head, each on a scale of its own range."""
    _require(found, "attention")
    names = list(found.frames[found.steps("attention")[0]]["attention"])
    maps = {name: rounded(found.stacked("attention", name)) for name in names}
    axes = found.about["attention"]["axes"]
    return {"steps": found.steps("attention"), "axes": axes, "maps": maps, "unit": "attention to the left operand"}


def circles(_run: Run, found: Film) -> View:
    """The symbols in the plane of each frequency that has one."""
    if found.frames and not found.steps("circles") and "circles" not in found.absent:
        raise AbsentError("no frequency has a plane of its own")
    _require(found, "circles")
    steps = found.steps("circles")
    names = [n for n in found.frames[steps[-1]]["circles"] if all(n in found.frames[s]["circles"] for s in steps)]
    if not names:
        raise AbsentError("no frequency has a plane of its own")
    planes = {name.removeprefix("k="): rounded(found.stacked("circles", name)) for name in names}
    return {"steps": steps, "symbol": found.about["circles"]["symbol"], "circles": planes}
