"""Figures from tables alone: no model, no checkpoint, no torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grokinterp.errors import GrokinterpError
from grokinterp.measures.measure import Measure
from grokinterp.measures.registry import builtin_measures, select
from grokinterp.progress import progress_bar
from grokinterp.run import Run
from grokinterp.runs.files import read_json, remove_abandoned
from grokinterp.tables import Tables, read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")

OVERVIEW = "overview"
"""Name of the figure that shows a run as a whole; see `grokinterp.overview`."""


def load_tables(run: Run, measure: Measure) -> Tables:
    """What the measure's plot function takes.

    Raises:
        GrokinterpError: a table is missing or damaged.
    """
    parts = {part: read_table(run.rundir, measure.name, part) for part in measure.parts}
    for part, table in parts.items():
        missing = sorted(set(measure.parts[part].all_columns) - set(table.columns))
        if missing:
            raise GrokinterpError(
                f"{run.rundir.table_path(measure.name, part)} has no column {missing[0]}; analyze again with --force"
            )
    return Tables(parts, run.phases, saved_keys(run))


def plot(run: Run, name: str | Measure) -> "Figure":
    """The figure of one measure, or "overview", as a matplotlib Figure, drawn from its tables.

    Raises:
        GrokinterpError: an unknown measure, or one whose tables were not computed.
    """
    if name == OVERVIEW:
        from grokinterp.overview import overview

        return overview(run)
    (measure,) = select([name]).values()
    return measure.plot(load_tables(run, measure))


def draw_figures(
    run: Run,
    names: Iterable[str | Measure] | None = None,
    formats: Sequence[str] = ("png",),
    *,
    show_progress: bool | None = None,
) -> dict[str, list[Path]]:
    """Draw and save the overview and the figures of all measures that have tables; the paths by name.

    Raises:
        GrokinterpError: an unknown format or measure, or a run without any table.
    """
    from grokinterp.plotting import save_figure

    check_formats(formats)
    asked = [OVERVIEW, *measured(run)] if names is None else list(names)
    wanted = [name for name in asked if name != OVERVIEW]
    chosen, whole = select(wanted) if wanted else {}, len(wanted) < len(asked)
    if not chosen and (names is None or not whole):
        raise GrokinterpError(f"{run.rundir.out} has no tables yet; run `grokinterp analyze {run.path}` first")
    drawn, everything = {}, [*([OVERVIEW] if whole else []), *chosen]
    remove_abandoned(run.rundir.analysis_leftovers())
    with progress_bar("drawing", len(everything), show=show_progress) as report:
        for done, name in enumerate(everything, start=1):
            figure = plot(run, chosen.get(name, name))
            drawn[name] = save_figure(figure, run.rundir.figures / name, formats)
            report(done, name)
    return drawn


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what is not a figure format.

    Raises:
        GrokinterpError: the first one that is not.
    """
    for form in formats:
        if form not in FORMATS:
            raise GrokinterpError(f"{form!r} is not a figure format; choose from {', '.join(FORMATS)}")


def has_tables(run: Run, measure: Measure) -> bool:
    """Whether every part of the measure has a table."""
    return all(run.rundir.table_path(measure.name, part).exists() for part in measure.parts)


def measured(run: Run) -> list[str]:
    """The package's measures that have tables in this run."""
    return [name for name, measure in builtin_measures().items() if has_tables(run, measure)]


def skipped(run: Run) -> dict[str, str]:
    """Why a measure has no meaning for this run, by name."""
    reasons = {}
    for name in builtin_measures():
        path = run.rundir.table_info_path(name)
        if not path.exists():
            continue
        try:
            reason = read_json(path).get("skipped")
        except GrokinterpError:
            raise GrokinterpError(f"{path} is damaged; `grokinterp analyze {run.path}` writes it anew") from None
        if reason:
            reasons[name] = str(reason)
    return reasons


def saved_keys(run: Run) -> tuple[int, ...]:
    """The key frequencies that the last analysis found; empty where there are none."""
    try:
        keys = read_json(run.rundir.summary_path).get("key_frequencies")
    except GrokinterpError:
        return ()
    return tuple(keys) if isinstance(keys, list) and all(isinstance(k, int) for k in keys) else ()
