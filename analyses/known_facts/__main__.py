"""`python -m analyses.known_facts --out DIR`: train what is missing, and tabulate what happened."""

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

import grokinterp as gi
from analyses.known_facts.recipes import SETS

OUT = Path("artifacts/known_facts")
SAY = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Train the runs of the sets asked for, and write one table a set."""
    parser = argparse.ArgumentParser(prog="python -m analyses.known_facts", description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"of {', '.join(SETS)}; all if none is named")
    parser.add_argument("--runs", type=Path, default=Path("runs/known_facts"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=OUT, help="where the tables go")
    settings = parser.parse_args()
    settings.out.mkdir(parents=True, exist_ok=True)
    for name in settings.sets:
        rows = []
        for run_name, config in SETS[name]():
            run = gi.train(config, settings.runs / run_name)
            rows.append({"run": run_name, **row_of(run)})
            SAY.print(f"{run_name}: {story_of(run)}")
            pd.DataFrame(rows).to_csv(settings.out / f"{name}.csv", index=False)


def row_of(run: gi.Run) -> dict[str, object]:
    """The events of one run, what varied, and where it ended."""
    phases, config, last = run.phases, run.config, run.metrics.iloc[-1]
    return {
        "operation": run.task.name,
        "kind": config.model.kind,
        "frac_train": config.task.frac_train,
        "lr": config.optimizer.lr,
        "weight_decay": config.optimizer.weight_decay,
        "memorization_step": phases.memorization_step,
        "generalization_step": phases.generalization_step,
        "censored": phases.censored,
        "last_step": phases.last_step,
        "train_accuracy": round(float(last["train_accuracy"]), 5),
        "test_accuracy": round(float(last["test_accuracy"]), 5),
        "best_test_accuracy": round(float(run.metrics["test_accuracy"].max()), 5),
    }


def story_of(run: gi.Run) -> str:
    """Events in a line."""
    phases = run.phases
    return f"memorised {phases.memorization_step}, generalised {phases.generalization_step}, last {phases.last_step}"


if __name__ == "__main__":
    main()
