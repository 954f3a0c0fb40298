"""`python -m analyses.circuit_criteria RUN...`: the criteria for analyzed runs, at their first and last checkpoint."""

import argparse
import json
from pathlib import Path

from rich.console import Console

import grokinterp as gi
from analyses.circuit_criteria.criteria import MEASURES, criteria, lead

OUT = Path("artifacts/circuit_criteria")
SAY = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Print the criteria of each run and keep them in artifacts/."""
    parser = argparse.ArgumentParser(prog="python -m analyses.circuit_criteria", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories; they are analyzed first")
    parser.add_argument("--fve", type=float, default=0.95, help="least cosine FVE; 0.90 for short runs")
    parser.add_argument("--out", type=Path, default=OUT, help="where criteria.json goes")
    settings = parser.parse_args()
    kept = {}
    for path in settings.runs:
        run = gi.open(path)
        gi.analyze(run, MEASURES)
        kept[path.name] = report(run, fve=settings.fve)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "criteria.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def report(run: gi.Run, *, fve: float) -> dict:
    """Print and return the criteria at the first and the last checkpoint."""
    keys, phases = run.key_frequencies, run.phases
    found: dict = {
        "key_frequencies": list(keys.ks) if keys else None,
        "memorization_step": phases.memorization_step,
        "generalization_step": phases.generalization_step,
        "last_step": phases.last_step,
        "lead": lead(run),
    }
    SAY.print(f"\n{run.path.name}: generalised at {phases.generalization_step}, K = {keys}, lead {found['lead']}")
    for mark, step in (("init", run.steps[0]), ("end", run.steps[-1])):
        rows = criteria(run, step, fve=fve)
        found[mark] = [{"claim": row.claim, "value": row.value, "holds": row.holds} for row in rows]
        verdict = "all hold" if all(row.holds for row in rows) else "the set does not hold"
        SAY.print(f"  {mark} (step {step}): {verdict}")
        for row in rows:
            SAY.print(f"    {'yes' if row.holds else 'no ':3} {row.claim}: {row.value}")
    return found


if __name__ == "__main__":
    main()
