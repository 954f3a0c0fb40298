"""The commands `sweep` and `results`; heavy imports inside the functions."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from grokinterp.arguments import whole
from grokinterp.errors import GrokinterpError
from grokinterp.exits import say
from grokinterp.json_output import print_rows

if TYPE_CHECKING:
    from grokinterp.sweeps.recipe import Recipe
    from grokinterp.sweeps.sweep import SweepOutcome

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
    workers: Annotated[
        int | None, Parameter(help="Runs at a time; as many as there are cores if not given.", converter=whole)
    ] = None,
    scheduler: Annotated[
        str | None, Parameter(help="A dask scheduler, tcp://host:port; dask here if not given.")
    ] = None,
    replicas: Annotated[
        int, Parameter(help="Train so many runs of one shape in one call; pays on a GPU.", converter=whole)
    ] = 1,
    retries: Annotated[int, Parameter(help="How often a run whose worker died is tried again.", converter=whole)] = 2,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only list the runs.")] = False,
) -> int:
    """Train every run of a recipe, and gather their results. The same command again does what is left.

    A folder with a sweep in it takes a recipe that all runs in it are runs of: the same, or one with more seeds,
    variants, values or measures.

    Parameters
    ----------
    recipe
        A TOML file: preset, [config], [grid], [[variants]], seeds, analyze.
    """
    from grokinterp.sweeps.executors import starter
    from grokinterp.sweeps.recipe import read_recipe
    from grokinterp.sweeps.results import check_dataset, gather
    from grokinterp.sweeps.sweep import sweep as run_sweep
    from grokinterp.sweeps.sweepdir import SweepDir

    found = read_recipe(recipe)
    if out is None and Path(found.name).name != found.name:
        raise GrokinterpError(f"{recipe}: the name {found.name!r} is no folder name; say where to write with --out")
    place = SweepDir(out if out is not None else Path("runs") / found.name)
    target = place.root
    if dry_run:
        return _list_runs(found)
    start = starter("dask" if scheduler is not None else executor, workers, scheduler, place.slurm)
    place.check(found.configs())
    check_dataset(place.results)
    outcome = run_sweep(found, target, executor=start, retries=retries, replicas=replicas)
    _tell(outcome, target)
    if not outcome.names("done"):
        raise GrokinterpError(f"no run of {recipe} was trained to its end; see {place.logs}")
    dataset, n_rows, _ = gather(target)
    say(f"{n_rows} rows in {dataset}; next: pandas.read_parquet({str(dataset)!r})")
    return 1 if outcome.names("failed") or outcome.names("stopped") else 0


def _list_runs(recipe: "Recipe") -> int:
    """Print the names of a recipe's runs, if it can be trained."""
    configs = recipe.configs()
    recipe.check_measures()
    for config in configs:
        Console().print(config.name, highlight=False, markup=False, soft_wrap=True)
    say(f"{len(configs)} runs, {sum(config.train.steps for config in configs):,} steps at most")
    return 0


def _tell(outcome: "SweepOutcome", target: Path) -> None:
    """What came of the runs."""
    for name in outcome.names("failed"):
        say(f"failed {name}: {outcome.outcomes[name].why}")
    if outcome.names("stopped"):
        say(f"{len(outcome.names('stopped'))} runs were stopped; the same command goes on with them")
    say(f"{len(outcome.names('done'))} of {len(outcome.outcomes)} runs done in {target}")


def results(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="The dataset's folder; FOLDER/results if not given.")] = None,
    csv: Annotated[Path | None, Parameter(help="Also write one CSV file.")] = None,
    json: Annotated[
        bool,
        Parameter(negative=(), help="Also print the rows as a JSON array; null for what is not known."),
    ] = False,
) -> int:
    """Gather one tidy row a run: config, events, values at the landmarks, censoring; a parquet dataset.

    Parameters
    ----------
    folder
        A sweep's folder, or any folder of runs.
    """
    from grokinterp.sweeps.results import gather

    if csv is not None:
        _check_csv(csv)
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
    if json:
        print_rows(_rows(dataset))
    return 0


def _rows(dataset: Path) -> Iterator[dict[str, Any]]:
    """The rows of a dataset, one part of it in memory at a time."""
    import pyarrow.parquet as pq

    for part in sorted(dataset.iterdir()):
        yield from pq.read_table(part).to_pylist()


def _check_csv(path: Path) -> None:
    """Refuse a place for the CSV file that cannot be written, before the dataset is."""
    if path.is_dir():
        raise GrokinterpError(f"{path} is a folder; --csv takes the name of a file")
    above = next(place for place in path.parents if place.exists())
    if not above.is_dir():
        raise GrokinterpError(f"{above} is a file, so that {path} cannot be written; choose another --csv")
