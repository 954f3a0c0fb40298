"""Evaluations of runs that never happened, with events where the tests want them."""

import math

from grokinterp.phases import Phases, find_phases


def evaluations(
    train: list[float], test: list[float], losses: list[float] | None = None, every: int = 10
) -> list[dict]:
    """Evaluations every `every` steps with these accuracies; the test loss is 1 - accuracy if not given."""
    losses = [1 - accuracy for accuracy in test] if losses is None else losses
    return [
        {"step": i * every, "train_accuracy": a, "test_accuracy": b, "test_loss": loss}
        for i, (a, b, loss) in enumerate(zip(train, test, losses, strict=True))
    ]


def grokking() -> list[dict]:
    """Memorised at 30, half right at 200, generalised at 220, test loss below 0.01 at 260."""
    train = [0.1] * 3 + [1.0] * 37
    test = [0.1] * 20 + [0.5] * 2 + [1.0] * 18
    losses = [3.0] * 3 + [6.0] * 12 + [5.0] * 2 + [3.0] * 5 + [0.5] * 4 + [0.001] * 14
    return evaluations(train, test, losses)


def losses_with_knees(knees: list[int], slopes: list[float], steps: range, start: float = 20.0) -> list[dict]:
    """Evaluations whose log test loss is straight between `knees`, with one slope a piece."""
    edges = [0, *knees, math.inf]
    rows = []
    for step in steps:
        pieces = zip(edges, edges[1:], slopes, strict=False)
        fallen = sum(slope * max(min(step, end) - begin, 0) for begin, end, slope in pieces)
        rows.append({"step": step, "test_loss": start * math.exp(fallen)})
    return rows


def run_with(memorised: int | None, grokked: int | None, last: int, every: int = 10) -> Phases:
    """Phases of a run with these events."""
    steps = range(0, last + 1, every)
    train = [float(memorised is not None and step >= memorised) for step in steps]
    test = [float(grokked is not None and step >= grokked) for step in steps]
    return find_phases(evaluations(train, test, every=every))
