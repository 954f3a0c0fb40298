"""`python -m analyses.engine_agreement`: train with both engines and compare the losses."""

import csv
import tempfile
from pathlib import Path

import torch

import grokinterp as gi
from analyses.engine_agreement.figures import draw
from grokinterp.overrides import override

OUT = Path("artifacts/engine_agreement")
STEPS = 200


def losses(engine: str, dtype: str, folder: Path, *, nudge: bool = False) -> list[float]:
    """Train loss at every step."""
    settings = {"engine": engine, "dtype": dtype, "steps": STEPS, "eval_every": 1}
    config = override(gi.presets.quick(), {"train": settings})
    if not nudge:
        run = gi.train(config, folder / f"{engine}_{dtype}")
        return run.metrics["train_loss"].tolist()
    return _nudged(config)


def _nudged(config: gi.RunConfig) -> list[float]:
    """As the hooked engine, from weights whose every entry is moved to the next float32 number."""
    from grokinterp.runs.rundir import RunDir
    from grokinterp.training.loop import build_trainer

    with tempfile.TemporaryDirectory() as scratch:
        trainer = build_trainer(config, gi.build_task(config.task), RunDir(scratch), torch.device("cpu"))
    with torch.no_grad():
        for weight in trainer.weights.values():
            up = torch.where(weight == 0, weight, torch.nextafter(weight, torch.full_like(weight, torch.inf)))
            weight.copy_(up)
    values = []
    for step in range(STEPS + 1):
        values.append(trainer.evaluate()["train_loss"])
        if step < STEPS:
            trainer.update()
    return values


def main() -> None:
    """Run, write the table, draw the figure."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        exact = losses("hooked", "float64", folder)
        columns = {
            "float64: fast against hooked": _difference(losses("fast", "float64", folder), exact),
            "float32: fast against hooked": _difference(
                losses("fast", "float32", folder), single := losses("hooked", "float32", folder)
            ),
            "float32: hooked, one rounding apart": _difference(losses("hooked", "float32", folder, nudge=True), single),
        }
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "loss_differences.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "train_loss", *columns])
        writer.writerows(zip(range(STEPS + 1), exact, *columns.values(), strict=True))
    draw(OUT)


def _difference(one: list[float], other: list[float]) -> list[float]:
    return [abs(a - b) / b for a, b in zip(one, other, strict=True)]


if __name__ == "__main__":
    main()
