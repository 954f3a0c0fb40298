"""The commands `sweep` and `results`; heavy imports inside the functions."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from grokinterp.exits import say

MOST_LEFT_OUT = 10
"""Runs without a row that are named."""


def sweep(
    recipe: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="The sweep's folder; runs/NAME if not given.")] = None,
    executor: Annotated[
        Literal["local", "dask", "slurm"], Parameter(help="Where the runs are trained: processes here, dask, Slurm.")
    ] = "local",
    workers: Annotated[int | None, Parameter(help="Runs at a time; as many as there are cores if not given.")] = None,
    scheduler: Annotated[
        str | None, Parameter(help="A dask scheduler, tcp://host:port; dask here if not given.")
    ] = None,
    replicas: Annotated[int, Parameter(help="Train so many runs of one shape in one call; pays on a GPU.")] = 1,
    retries: Annotated[int, Parameter(help="How often a run whose worker died is tried again.")] = 2,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only list the runs.")] = False,
) -> int:
    """Train every run of a recipe, and gather their results. The same command again does what is left.

    Parameters
    ----------
    recipe
        A TOML file: preset, [config], [grid], [[variants]], seeds, analyze.
    """
    from grokinterp.errors import GrokinterpError
    from grokinterp.sweeps.executors import starter
    from grokinterp.sweeps.recipe import read_recipe
    from grokinterp.sweeps.results import gather
    from grokinterp.sweeps.sweep import sweep as run_sweep

    found = read_recipe(recipe)
    target = out if out is not None else Path("runs") / found.name
    if dry_run:
        configs = found.configs()
        for config in configs:
            Console().print(config.name, highlight=False, markup=False, soft_wrap=True)
        say(f"{len(configs)} runs, {sum(config.train.steps for config in configs):,} steps at most")
        return 0
    start = starter("dask" if scheduler is not None else executor, workers, scheduler, target / "slurm")
    outcome = run_sweep(found, target, executor=start, retries=retries, replicas=replicas)
    for name in outcome.names("failed"):
        say(f"failed {name}: {outcome.outcomes[name].why}")
    done, stopped = outcome.names("done"), outcome.names("stopped")
    if stopped:
        say(f"{len(stopped)} runs were stopped; the same command goes on with them")
    say(f"{len(done)} of {len(outcome.outcomes)} runs done in {target}")
    if not done:
        raise GrokinterpError(f"no run of {recipe} was trained to its end; see {target / 'logs'}")
    dataset, n_rows, _ = gather(target)
    say(f"{n_rows} rows in {dataset}; next: pandas.read_parquet({str(dataset)!r})")
    return 1 if outcome.names("failed") or stopped else 0


def results(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="The dataset's folder; FOLDER/results if not given.")] = None,
    csv: Annotated[Path | None, Parameter(help="Also write one CSV file.")] = None,
) -> int:
    """Gather one tidy row a run: config, events, values at the landmarks, censoring; a parquet dataset.

    Parameters
    ----------
    folder
        A sweep's folder, or any folder of runs.
    """
    from grokinterp.sweeps.results import gather

    dataset, n_rows, left_out = gather(folder, out)
    for sentence in left_out[:MOST_LEFT_OUT]:
        say(f"left out: {sentence}")
    if len(left_out) > MOST_LEFT_OUT:
        say(f"and {len(left_out) - MOST_LEFT_OUT} more runs")
    if csv is not None:
        import pandas as pd

        from grokinterp.runs.files import write_text

        write_text(csv, pd.read_parquet(dataset).to_csv(index=False))
        say(f"{n_rows} rows in {csv}")
    say(f"{n_rows} rows in {dataset}")
    return 0
