"""What several commands of the command line do; heavy imports inside the functions."""

import contextlib
import ctypes
from pathlib import Path
from typing import Any

from rich.console import Console

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.exits import say


def preset_config(name: str | None, config: Path | None) -> RunConfig:
    """The preset called `name`; the defaults for a TOML file alone."""
    from grokinterp.explain import suggest
    from grokinterp.presets import PRESETS

    if name is None:
        if config is None:
            raise GrokinterpError(f"name a preset ({', '.join(PRESETS)}) or give --config FILE.toml")
        return RunConfig()
    if name not in PRESETS:
        raise GrokinterpError(f"{name!r} is not a preset; {suggest(name, PRESETS)}")
    return PRESETS[name]()


def analyze_one(path: Path, measures: list[Any] | None, *, out: Path | None = None, **options: Any) -> int:
    """Analyze one run and say what came of it; 1 if a measure failed, 2 if a checkpoint is damaged."""
    from grokinterp.analysis import analyze as analyze_run
    from grokinterp.run import open_run

    _keep_freed_memory()
    outcome = analyze_run(open_run(path, out=out), measures, **options)
    computed, kept = sum(outcome.computed.values()), sum(outcome.reused.values())
    say(f"tables in {(out or path) / 'measures'}: {computed} parts of checkpoints computed, {kept} kept")
    for name, why in outcome.skipped.items():
        say(f"skipped {name}: {why}")
    for sentence in outcome.damaged:
        say(sentence)
    for name, why in outcome.failed.items():
        say(f"failed {name}: {why}")
    if outcome.damaged:
        return 2
    return 1 if outcome.failed else 0


def _keep_freed_memory() -> None:
    """Ask glibc not to give large blocks back to the system after each use.

    Every measure of every checkpoint takes arrays of 10 to 50 MB, and taking them anew page by page costs some
    5 % of the time. Only on the command line, whose process ends with the analysis.
    """
    threshold, trim = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(threshold, 2**30)
        libc.mallopt(trim, 2**31 - 1)


def draw(
    path: Path,
    measures: list[Any] | None,
    out: Path | None,
    formats: list[str],
    *,
    films: bool = False,
    style: str = "screen",
) -> None:
    """Draw a run's figures in a style, and its films if asked, and print where they are."""
    from grokinterp import plotting
    from grokinterp.figures import draw_figures
    from grokinterp.run import open_run

    console, run = Console(), open_run(path, out=out)
    with plotting.style(style):
        drawn = [figure for paths in draw_figures(run, measures, formats).values() for figure in paths]
    if films:
        from grokinterp.films import draw_films

        drawn += draw_films(run, None if measures is None else [str(name) for name in measures])
    for figure in drawn:
        console.print(str(figure), soft_wrap=True, highlight=False, markup=False)


def chosen_measures(only: str | None, files: list[Path] | None) -> list[Any] | None:
    """Names and Measure objects; None for all of the package."""
    from grokinterp.measures.registry import load_measure_file

    own = [load_measure_file(file) for file in files or []]
    if only is None:
        return own or None
    names = [name.strip() for name in only.split(",") if name.strip()]
    if not names:
        raise GrokinterpError("--only names no measure; see `grokinterp list`, or leave it out for all")
    return [*names, *own]


def format_names(text: str) -> list[str]:
    """The figure formats of a comma-separated list."""
    return [form.strip() for form in text.split(",")]
