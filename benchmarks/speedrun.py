"""How fast a network can grok: seconds and steps to a test loss below 0.01 on the 70 % of the pairs that it never saw.

p = 113, 30 % of the pairs, the model of TransformerLens's grokking demo, five seeds for the split, the weights and the
batches, none of which took part in finding the recipe. The clock runs from the first update, evaluations every 10
steps included. The baseline is the demo: its time per epoch with its test loss, measured in the same run, times the
14,499 epochs that its notebook shows.
"""

import gc
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grokinterp as gi
from analyses.circuit_criteria.__main__ import OUT as CRITERIA
from analyses.circuit_criteria.criteria import MEASURES, criteria
from benchmarks.clock import OUT, machine, spread, write
from benchmarks.training_step import trainer_of
from benchmarks.usual import UsualLoop
from grokinterp.overrides import override

SEEDS = range(10, 15)
"""None of those with which the recipe was found."""
DEMO_EPOCHS = 14_499
EVERY, GIVE_UP = 10, 2000


@dataclass(frozen=True)
class Attempt:
    """When a run had 99 % test accuracy and when a test loss below 0.01; None: not within its steps."""

    accurate_step: int | None
    accurate_seconds: float | None
    grokked_step: int | None
    grokked_seconds: float | None


def seeded(config: gi.RunConfig, seed: int) -> gi.RunConfig:
    """The recipe with another seed for everything that has one."""
    return override(config, {"task": {"split_seed": seed}, "model": {"init_seed": seed}, "train": {"seed": seed}})


def recipes() -> dict[str, gi.RunConfig]:
    """Each line of the table; anyone can run it again with `grokinterp train`."""
    base = gi.presets.nanda2023()
    first = {"optimizer": {"lr": 1e-2, "weight_decay": 2.0}, "train": {"steps": 600}}
    return {
        "`quick`": gi.presets.quick(),
        "`nanda2023` with lr 1e-2, decay 2": override(base, first),
        "`speedrun`": gi.presets.speedrun(),
    }


def attempt(config: gi.RunConfig) -> Attempt:
    """Train until the test loss is below 0.01."""
    trainer = trainer_of(config)
    gc.collect()
    start, accurate = time.perf_counter(), (None, None)
    while trainer.step < min(config.train.steps, GIVE_UP):
        trainer.update()
        if trainer.step % EVERY:
            continue
        row, seconds = trainer.evaluate(), time.perf_counter() - start
        if accurate[0] is None and row["test_accuracy"] >= 0.99:
            accurate = (trainer.step, seconds)
        if row["test_loss"] < 0.01:
            return Attempt(*accurate, trainer.step, seconds)
    return Attempt(*accurate, None, None)


def epoch_seconds(config: gi.RunConfig, n: int = 12) -> list[float]:
    """Of the demo's loop, after two that warm up."""
    loop, seconds = UsualLoop(config), []
    for _ in range(n + 2):
        start = time.perf_counter()
        loop.epoch()
        seconds.append(time.perf_counter() - start)
    return seconds[2:]


def main() -> None:
    """All recipes, seeds in the outer loop, and the demo's epochs between them."""
    attempts: dict[str, list[Attempt]] = {name: [] for name in recipes()}
    epochs: list[float] = []
    for seed in SEEDS:
        epochs += epoch_seconds(gi.presets.nanda2023())
        for name, config in recipes().items():
            attempts[name].append(attempt(seeded(config, seed)))
    demo = spread(epochs)["median"] * DEMO_EPOCHS
    seconds = {name: [a.grokked_seconds or float("inf") for a in found] for name, found in attempts.items()}
    best = [demo / s for s in seconds["`speedrun`"]]
    figures = {"demo / speedrun, time to a grokked network": {"target": 300, **spread(best)}}
    about = {"seconds_an_epoch_of_the_demo": spread(epochs), "seconds_of_the_demo": demo}
    finite = {name: [s for s in values if s < float("inf")] for name, values in seconds.items()}
    write("speedrun", {name: values for name, values in finite.items() if values}, figures, **about)
    (OUT / "speedrun.md").write_text(_table(attempts, demo) + _circuit())


def _table(attempts: dict[str, list[Attempt]], demo: float) -> str:
    where = machine()
    lines = [
        "# Speedrun: seconds to a grokked network",
        "",
        (__doc__ or "").strip(),
        "",
        f"`python -m benchmarks speedrun` on {where['processor']}, {where['threads']} threads, torch {where['torch']}. "
        "Medians over five seeds, the range in brackets.",
        "",
        "| recipe | steps to 99 % | seconds | steps to loss < 0.01 | seconds | against the demo |",
        "|---|---|---|---|---|---|",
        f"| the demo's notebook | | | {DEMO_EPOCHS:,} | {demo:,.0f} | 1 |",
    ]
    for name, found in attempts.items():
        cells = [_cell([getattr(a, column) for a in found]) for column in Attempt.__dataclass_fields__]
        reached = sorted(a.grokked_seconds or float("inf") for a in found)[len(found) // 2]
        lines.append("| " + " | ".join([name, *cells, f"{demo / reached:,.0f}x"]) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: list[Any]) -> str:
    """Median and range; a run that did not get there counts as infinite."""
    there = [v for v in values if v is not None]
    ordered = sorted(v if v is not None else float("inf") for v in values)
    middle = ordered[len(ordered) // 2]
    if middle == float("inf"):
        return f"{len(there)} of {len(values)}"
    digits = "{:.0f}" if isinstance(there[0], int) else "{:.2f}"
    most = digits.format(ordered[-1]) if len(there) == len(values) else "never"
    return f"{digits.format(middle)} ({digits.format(ordered[0])} to {most})"


def _circuit() -> str:
    """Whether the fast network computes as the slow one does: the same criteria at the end of both."""
    with (CRITERIA / "criteria.json").open() as file:
        slow = json.load(file)
    found = {f"`nanda2023`, {name}": one["end"] for name, one in slow.items()}
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            run = gi.train(seeded(gi.presets.speedrun(), seed), Path(folder) / "run", show_progress=False)
            gi.analyze(run, MEASURES, every=max(1, len(run.steps) - 1), show_progress=False)
            rows = [{"claim": row.claim, "value": row.value} for row in criteria(run, run.steps[-1])]
            found[f"`speedrun`, seed {seed}, step {run.steps[-1]}"] = rows
    claims = [row["claim"] for row in next(iter(found.values()))]
    lines = [
        "",
        "## Is it the same circuit?",
        "",
        "The criteria of `analyses/circuit_criteria` at the end of each run (log p = 4.73); the slow networks, after "
        "40,000 steps, are those of `artifacts/circuit_criteria`.",
        "",
        "| network | " + " | ".join(claims) + " |",
        "|---" * (len(claims) + 1) + "|",
    ]
    lines += [f"| {name} | " + " | ".join(row["value"] for row in rows) + " |" for name, rows in found.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
