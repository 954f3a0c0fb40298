"""`gi.train`: start a run, go on with it, or reuse it, whichever the directory asks for."""

from pathlib import Path

from grokinterp.config import RunConfig
from grokinterp.device import resolve_device
from grokinterp.errors import GrokinterpError
from grokinterp.run import Run, open_run
from grokinterp.runs.metrics import read_metrics
from grokinterp.runs.rundir import RunDir
from grokinterp.training.loop import is_finished, train_run


def train(config: RunConfig, directory: str | Path, *, resume: bool = True, show_progress: bool | None = None) -> Run:
    """Train `config` into `directory` and open the run.

    The same config and finished: reused. The same and unfinished: goes on, to bit-identical weights
    (unless `resume` is false, which is the command line's default). Another config: refused.

    Raises:
        GrokinterpError: as said above, or the place holds something else.
        Interrupted: stopped by Ctrl-C or SIGTERM between two steps; call again to go on.
    """
    rundir = RunDir(directory)
    if rundir.exists():
        check_same(rundir, config)
        if is_finished(rundir, config):
            return open_run(directory)
        check_resumable(rundir, config)
        if not resume:
            raise GrokinterpError(f"{directory} holds an unfinished run of this config; add --resume to go on")
    elif not rundir.is_free():
        raise GrokinterpError(f"{directory} is there already and holds no run; choose another --out")
    train_run(config, rundir, show_progress=show_progress)
    return open_run(directory)


def check_resumable(rundir: RunDir, config: RunConfig) -> None:
    """Starting over is right only where nothing is lost by it."""
    root, about = rundir.root, rundir.read_provenance()
    if about.get("engine") == "recorded":
        raise GrokinterpError(f"{root} was recorded from another training loop; train into another --out")
    if rundir.resume_path.exists():
        device = resolve_device(config.train.device).type
        if about.get("device_type", device) != device:
            raise GrokinterpError(
                f"{root} was trained on {about['device_type']}; go on there with --device {about['device_type']}"
            )
        return
    steps = [*rundir.steps(), *(row["step"] for row in read_metrics(rundir.metrics_path)), 0]
    if max(steps) > config.train.resume_every:
        raise GrokinterpError(
            f"{root} holds results up to step {max(steps)} but no resume.pt to go on from; "
            "train into another --out, or delete that folder first"
        )


def _brief(value: object) -> str:
    """A value as it is shown; a table only by its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]} ..."


def check_same(rundir: RunDir, config: RunConfig) -> None:
    """The same numbers are asked for; on which device they are computed may differ."""
    found = rundir.read_config()
    mine, theirs = config.model_dump(), found.model_dump()
    theirs["train"]["device"] = config.train.device
    if mine == theirs:
        return
    differing = [
        f"{section}.{field} is {_brief(theirs[section].get(field))} there and {_brief(value)} here"
        for section, fields in mine.items()
        if isinstance(fields, dict)
        for field, value in fields.items()
        if theirs[section].get(field) != value
    ]
    what = "; ".join(differing[:3]) or "its name differs"
    raise GrokinterpError(f"{rundir.root} holds a run of another config ({what}); choose another --out")
