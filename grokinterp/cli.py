"""The command line: one thin function a command, heavy imports inside them."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

import grokinterp
from grokinterp import interrupts
from grokinterp.arguments import refuse_empty_paths, whole
from grokinterp.commands import analyze_one, chosen_measures, draw, format_names, preset_config
from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.exits import exit_status, refuse, say
from grokinterp.export_command import export
from grokinterp.flags import ModelFlags, OptimizerFlags, RegularizerFlags, TaskFlags, TrainFlags, sections
from grokinterp.import_command import import_, imported_beside
from grokinterp.show_command import list_measures, show
from grokinterp.sweeps.commands import results, sweep
from grokinterp.trust import forget, repeat, verify
from grokinterp.watch.command import watch

app = App(
    name="grokinterp",
    help="Train small networks on finite binary operations, and read from their checkpoints when and how "
    "the mechanism changed.",
    version=grokinterp.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    config=refuse_empty_paths,
)

Device = Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N")]
MeasureFile = Annotated[
    list[Path],
    Parameter(negative=(), help="A Python file with a MEASURE of your own; alone, only it; else beside --only."),
]
Out = Annotated[Path | None, Parameter(help="Write here instead of into the run directory.")]


@app.command
def demo(
    *,
    out: Path = Path("runs/demo"),
    format: Annotated[str, Parameter(help="Figure formats: png, pdf, svg, comma-separated.")] = "png",  # noqa: A002
) -> int:
    """Train the quick preset through grokking, analyze it, draw its figures and print what happened.

    Run twice, it reuses what is there.
    """
    from grokinterp import presets
    from grokinterp.figures import check_formats
    from grokinterp.reports import report as write_report
    from grokinterp.show import print_summary
    from grokinterp.training.start import check_place
    from grokinterp.training.start import train as train_config

    check_formats(format_names(format))
    check_place(presets.quick(), out)
    say("training: 1-layer transformer, x+y mod 113, 30 % of the pairs")
    run = train_config(presets.quick(), out)
    say("analyzing")
    status = analyze_one(run.path, None)
    say("drawing figures")
    draw(run.path, None, None, format_names(format))
    say("writing the report")
    page = write_report(run)
    print_summary(run, Console())
    Console().print(f"report, for a browser: {page}", soft_wrap=True, highlight=False, markup=False)
    return status


@app.command
def train(
    preset: str | None = None,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="The run directory; runs/NAME if not given.")] = None,
    config: Annotated[Path | None, Parameter(help="A TOML file laid over the preset; flags win.")] = None,
    resume: Annotated[bool, Parameter(negative=(), help="Go on with the unfinished run in --out.")] = False,
    replicas: Annotated[
        int | None, Parameter(help="Train so many at once, seed by seed, into folders in --out.", converter=whole)
    ] = None,
    source: Annotated[Path | None, Parameter("--from", help="Repeat this run to the byte, into --out.")] = None,
    track: Annotated[
        list[str] | None, Parameter(negative=(), help="tensorboard or wandb (offline), written to OUT/tracking.")
    ] = None,
    device: Device | None = None,
    task: TaskFlags | None = None,  # ty: ignore[invalid-type-form]
    model: ModelFlags | None = None,  # ty: ignore[invalid-type-form]
    optimizer: OptimizerFlags | None = None,  # ty: ignore[invalid-type-form]
    regularizer: RegularizerFlags | None = None,  # ty: ignore[invalid-type-form]
    train: TrainFlags | None = None,  # ty: ignore[invalid-type-form]
) -> int:
    """Train a preset, a TOML file, or a preset changed by flags.

    Parameters
    ----------
    preset
        quick, nanda2023, ci, speedrun, small, subtract, divide, no_decay, outliers, grokfast, stablemax, a5, power2022,
        exploring2024, exploring2024_simple, exploring2024_lstm, exploring2024_mlp
    """
    from grokinterp.overrides import load_toml, override
    from grokinterp.reports import story
    from grokinterp.training.start import train as train_config

    flags = sections(task=task, model=model, optimizer=optimizer, regularizer=regularizer, train=train)
    if device is not None:
        flags.setdefault("train", {})["device"] = device
    if source is not None:
        given = {"the preset": preset, "--config": config, "--replicas": replicas, "--track": track}
        return repeat(source, out, given | {"the other flags": flags or None}, resume=resume)
    base = preset_config(preset, config)
    layers = [load_toml(config), flags] if config is not None else [flags]
    settings = override(base, *layers)
    if out is None and Path(settings.name).name != settings.name:
        raise GrokinterpError(f"the name {settings.name!r} is no folder name; say where to write with --out")
    target = out if out is not None else Path("runs") / settings.name
    if replicas is not None:
        if track:
            raise GrokinterpError("--track follows a single run; leave out --replicas, or train the runs one by one")
        return _train_replicas(settings, replicas, target, resume=resume)
    run = train_config(settings, target, resume=resume, track=track)
    say(story(run))
    say(f"{len(run.steps)} checkpoints in {run.rundir.ckpts}; next: grokinterp analyze {target}")
    return 0


def _train_replicas(settings: RunConfig, n: int, folder: Path, *, resume: bool) -> int:
    """Train n seeds of a config at once, each into its folder in `folder`."""
    from grokinterp.reports import story
    from grokinterp.training.replicas import replica_configs, train_replicas

    if Path(settings.name).name != settings.name:
        raise GrokinterpError(f"the name {settings.name!r} is no folder name; give the config another one")
    configs = replica_configs(settings, n)
    for run in train_replicas(configs, [folder / config.name for config in configs], resume=resume):
        say(f"{run.config.name}: {story(run)}")
    say(f"{n} runs in {folder}; next: grokinterp analyze {folder}")
    return 0


@app.command
def analyze(
    path: Path,
    /,
    *,
    only: Annotated[str | None, Parameter(help="Measures, comma-separated; see `grokinterp list`.")] = None,
    every: Annotated[int, Parameter(help="Take each Nth checkpoint.", converter=whole)] = 1,
    full: Annotated[
        bool, Parameter(negative=(), help="Costly measures on every checkpoint, not on their subset.")
    ] = False,
    force: Annotated[bool, Parameter(negative=(), help="Compute again what is there.")] = False,
    out: Out = None,
    measure_file: MeasureFile | None = None,
    device: Device = "cpu",
    jobs: Annotated[
        int | None, Parameter(help="Checkpoints at a time, each on one core; all cores if not given.", converter=whole)
    ] = None,
) -> int:
    """Compute the tables of a run, of its ckpts/ folder, of every run in a folder, or of other people's checkpoints.

    A second call computes only what is new.

    Parameters
    ----------
    path
        A run directory, its ckpts/ folder, or a folder of runs; or what `grokinterp import` reads, which is imported
        to PATH.grokinterp beside it, or to --out.
    """
    from grokinterp.run import find_runs, out_below

    measures = chosen_measures(only, measure_file)
    imported = imported_beside(path, out)
    path, out = (path, out) if imported is None else (imported, None)
    found = find_runs(path)
    worst = 0
    for one in found:
        if len(found) > 1:
            say(f"analyzing {one}")
        target = out_below(out, path, one, alone=len(found) == 1)
        options = {"every": every, "full": full, "force": force, "out": target, "device": device, "jobs": jobs}
        try:
            worst = max(worst, analyze_one(one, measures, **options))
        except GrokinterpError as error:
            if len(found) == 1:
                raise
            worst = refuse(f"{one}: {error}")  # the other runs are not to wait for it
    return worst


@app.command
def figures(
    path: Path,
    /,
    *,
    format: Annotated[str, Parameter(help="png, pdf, svg, comma-separated.")] = "png",  # noqa: A002
    only: Annotated[str | None, Parameter(help="Measures, comma-separated.")] = None,
    style: Annotated[str, Parameter(help="screen, or paper: for write-ups, column wide, no titles.")] = "screen",
    films: Annotated[bool, Parameter(negative=(), help="Also GIFs of the symbols and of the spectrum.")] = False,
    measure_file: MeasureFile | None = None,
    out: Out = None,
) -> int:
    """Redraw every figure from the tables alone.

    Parameters
    ----------
    path
        A run directory, its ckpts/ folder, or a folder of runs.
    """
    from grokinterp.run import find_runs, out_below

    measures = chosen_measures(only, measure_file)
    found = find_runs(path)
    for one in found:
        target = out_below(out, path, one, alone=len(found) == 1)
        draw(one, measures, target, format_names(format), films=films, style=style)
    return 0


@app.command
def report(path: Path, /, *, out: Out = None) -> int:
    """Write an offline HTML page of a run, or of a folder of runs that are compared in it.

    Of a run: linked views that one slider over the checkpoints moves. Of a folder: steps to grok over what varies,
    every run's curves, a table, links to the runs' own pages.

    Parameters
    ----------
    path
        A run directory or its ckpts/ folder, or a folder of runs.
    """
    from grokinterp.pages import report as write_report

    Console().print(str(write_report(path, out=out)), soft_wrap=True, highlight=False, markup=False)
    return 0


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what makes a shell complete commands and flags; for bash: eval "$(grokinterp completion bash)"."""
    sys.stdout.write(app.generate_completion(shell=shell))
    return 0


app.command(list_measures, name="list")
app.command(show)
app.command(watch)
app.command(import_, name="import")
app.command(export)
app.command(verify)
app.command(forget)
app.command(sweep)
app.command(results)


def main() -> None:
    """Run the command line; bad input is one sentence and exit status 2."""
    # Before torch is imported: its idle threads spin for a short while only, then sleep. Alone on a
    # machine that costs nothing; beside another busy process long spinning is several times slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    interrupts.run(lambda: run_command(None))


def run_command(tokens: list[str] | None) -> int:
    """Run one command and return its exit status: 0, 1 a measure failed, 2 bad input, 130 stopped."""
    return exit_status(lambda: app(tokens, exit_on_error=False, print_error=False, result_action="return_value"))


if __name__ == "__main__":
    main()
