"""What every folder of a paper shares: train what its recipes say, make tables, draw figures, compare with the paper.

A folder has

    recipes/SCALE/NAME.toml   what to train, at the scales smoke, bench and paper
    tables.py                 TABLES: name -> function of a Study that gives a table
    figures.py                FIGURES: name -> function of the tables that gives a matplotlib Figure
    claims.py                 CLAIMS: id -> function of the tables that gives an Answer
    expected.json             what the paper says: a list of entries with id, claim, paper, source, scales

and `python -m analyses.FOLDER --scale bench` goes through them in that order. Tables and figures go to
artifacts/FOLDER; figures and verdicts are made from the tables alone, so `--tables-only` needs no run.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.console import Console
from rich.table import Table

import grokinterp as gi
from grokinterp.sweeps.executors import starter

HERE = Path(__file__).parent
SCALES = ("smoke", "bench", "paper")
SAY = Console(highlight=False, soft_wrap=True)

ENTRY = ("id", "claim", "paper", "source", "scales", "note")
"""What every entry of expected.json has or may have; the rest are arguments of its claim's function."""

Verdict = Literal["holds", "does not hold", "not tested at this scale"]
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Answer:
    """What was found about a claim.

    ours: The numbers, in words.
    holds: None where the runs cannot tell.
    note: What explains it, where the numbers alone do not.
    """

    ours: str
    holds: bool | None
    note: str = ""


@dataclass(frozen=True)
class Study:
    """One folder at one scale, with its runs on disk.

    Attributes:
        name: The folder.
        scale: smoke, bench or paper.
        runs: Where its sweeps lie; one folder a recipe.
    """

    name: str
    scale: str
    runs: Path

    @cached_property
    def recipes(self) -> dict[str, gi.Recipe]:
        """The recipes of this scale, by file name."""
        folder = HERE / self.name / "recipes" / self.scale
        return {path.stem: gi.read_recipe(path) for path in sorted(folder.glob("*.toml"))}

    def folder(self, recipe: str) -> Path:
        """Where the runs of a recipe lie."""
        return self.runs / recipe

    def trained(self, recipe: str) -> Iterator[gi.Run]:
        """The runs of a recipe that are there, in the recipe's order."""
        if recipe not in self.recipes:
            return
        for config in self.recipes[recipe].configs():
            if (self.folder(recipe) / config.name / "summary.json").exists():
                yield gi.open(self.folder(recipe) / config.name)

    def variant(self, recipe: str, run: gi.Run) -> str:
        """The variant of the recipe that a run belongs to; empty where it has none."""
        names = [variant["name"] for variant in self.recipes[recipe].variants]
        return max((name for name in names if run.config.name.startswith(f"{name}-")), key=len, default="")


def main(package: str) -> None:
    """The command line of a folder: `python -m analyses.FOLDER`."""
    module = importlib.import_module(package)
    name = package.rpartition(".")[2]
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=module.__doc__)
    parser.add_argument("recipes", nargs="*", help="of this scale, by name; all if none is named")
    parser.add_argument("--scale", choices=SCALES, default="bench")
    parser.add_argument("--runs", type=Path, help=f"where the runs go; runs/{name}/SCALE if not given")
    parser.add_argument("--out", type=Path, help=f"where tables and figures go; artifacts/{name} if not given")
    parser.add_argument("--executor", choices=("local", "dask", "slurm"), default="local")
    parser.add_argument("--workers", type=int, help="runs at a time; as many as there are cores if not given")
    parser.add_argument("--scheduler", help="address of a dask scheduler")
    parser.add_argument("--tables-only", action="store_true", help="draw and judge from the tables that are there")
    parser.add_argument("--again", type=int, metavar="N", help="train N of the runs again, only to compare")
    settings = parser.parse_args()
    out = settings.out or (Path("artifacts") / name if settings.scale == "bench" else Path("runs") / name / "artifacts")
    study = Study(name, settings.scale, settings.runs or Path("runs") / name / settings.scale)
    try:
        if settings.again is not None:
            sys.exit(_again(study, package, out, settings.again))
        if not settings.tables_only:
            _train(study, settings)
        sys.exit(publish(study, package, out, fresh=not settings.tables_only))
    except gi.GrokinterpError as error:
        SAY.print(f"{parser.prog}: {error}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        SAY.print("stopped; the same command goes on")
        sys.exit(130)


def _train(study: Study, settings: argparse.Namespace) -> None:
    """Train what is missing of the recipes asked for."""
    unknown = [name for name in settings.recipes if name not in study.recipes]
    if unknown or not study.recipes:
        known = ", ".join(study.recipes) or f"none at scale {study.scale}"
        raise gi.GrokinterpError(f"{', '.join(unknown) or study.name} is no recipe here; there are: {known}")
    executor = starter(settings.executor, settings.workers, settings.scheduler, study.runs / "slurm")
    for name in settings.recipes or study.recipes:
        outcome = gi.sweep(study.recipes[name], study.folder(name), executor=executor)
        SAY.print(f"{name}: {len(outcome.names('done'))} of {len(outcome.outcomes)} runs done", markup=False)
        for run in outcome.names("failed"):
            SAY.print(f"  {run}: {outcome.outcomes[run].why}", markup=False)


def _again(study: Study, package: str, out: Path, n: int) -> int:
    """Compare runs that are trained again with the tables; 1 where one differs."""
    from analyses import tracing

    said = tracing.again(study, tables_in(package, out), n)
    for line in said:
        SAY.print(line, markup=False)
    return int(any(": differs" in line for line in said))


def tables_in(package: str, out: Path) -> dict[str, pd.DataFrame]:
    """The tables of a folder that are there, by name."""
    names = importlib.import_module(f"{package}.tables").TABLES
    paths = {name: out / f"{name}.csv" for name in names}
    return {name: pd.read_csv(path, keep_default_na=True) for name, path in paths.items() if path.exists()}


def publish(study: Study, package: str, out: Path, *, fresh: bool) -> int:
    """Write the tables and what they were made with (where `fresh`), the figures and the verdicts; 0."""
    from analyses import tracing

    out.mkdir(parents=True, exist_ok=True)
    if fresh:
        for name, build in importlib.import_module(f"{package}.tables").TABLES.items():
            table = build(study)
            if len(table):
                table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
        tracing.write_made_with(study, out)
    tables = tables_in(package, out)
    for name, draw in importlib.import_module(f"{package}.figures").FIGURES.items():
        _draw(name, draw, tables, out)
    verdicts = judge(study, package, tables)
    verdicts.to_csv(out / "verdicts.csv", index=False)
    SAY.print(_as_text(verdicts))
    SAY.print(f"tables, figures and verdicts are in {out}", markup=False)
    return 0


def _draw(name: str, draw: Callable[[Tables], Any], tables: Tables, out: Path) -> None:
    import matplotlib.pyplot as plt

    try:
        figure = draw(tables)
    except KeyError as missing:
        SAY.print(f"no figure {name}: there is no table {missing}", markup=False)
        return
    gi.plotting.save_figure(figure, out / name, ["png"])
    plt.close(figure)


def judge(study: Study, package: str, tables: Tables) -> pd.DataFrame:
    """Each entry of expected.json beside what was found, and the verdict."""
    expected = json.loads((HERE / study.name / "expected.json").read_text(encoding="utf-8"))
    claims = importlib.import_module(f"{package}.claims").CLAIMS
    rows = []
    for entry in expected:
        ours, verdict = _verdict(entry, claims[entry["id"]], study.scale, tables)
        rows.append(
            {
                "id": entry["id"],
                "claim": entry["claim"],
                "paper": entry["paper"],
                "source": entry["source"],
                "ours": ours.ours,
                "verdict": verdict,
                "note": ours.note or entry.get("note", ""),
            }
        )
    return pd.DataFrame(rows)


def _verdict(
    entry: Mapping[str, Any], check: Callable[..., Answer], scale: str, tables: Tables
) -> tuple[Answer, Verdict]:
    untested: Verdict = "not tested at this scale"
    if scale not in entry["scales"]:
        return Answer("", None, f"judged at: {', '.join(entry['scales']) or 'no scale'}"), untested
    try:
        answer = check(tables, **{name: value for name, value in entry.items() if name not in ENTRY})
    except KeyError as missing:
        return Answer("", None, f"there is no table {missing}"), untested
    if answer.holds is None:
        return answer, untested
    return answer, "holds" if answer.holds else "does not hold"


def _as_text(verdicts: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("claim", "paper", "ours", "verdict"):
        table.add_column(column, overflow="fold")
    for _, row in verdicts.iterrows():
        table.add_row(*(str(row[column]) for column in ("claim", "paper", "ours", "verdict")))
    return table
