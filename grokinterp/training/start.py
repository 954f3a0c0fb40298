"""`gi.train`: start a run, go on with it, or reuse it, whichever the directory asks for."""

from pathlib import Path

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.run import Run, open_run
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
        _check_same(rundir, config)
        if is_finished(rundir, config):
            return open_run(directory)
        if not resume:
            raise GrokinterpError(f"{directory} holds an unfinished run of this config; add --resume to go on")
    elif not rundir.is_free():
        raise GrokinterpError(f"{directory} is there already and holds no run; choose another --out")
    train_run(config, rundir, show_progress=show_progress)
    return open_run(directory)


def _check_same(rundir: RunDir, config: RunConfig) -> None:
    found = rundir.read_config()
    if found == config:
        return
    mine, theirs = config.model_dump(), found.model_dump()
    differing = [
        f"{section}.{field} is {theirs[section][field]!r} there and {value!r} here"
        for section, fields in mine.items()
        if isinstance(fields, dict)
        for field, value in fields.items()
        if theirs[section].get(field) != value
    ]
    what = "; ".join(differing[:3]) or "its name differs"
    raise GrokinterpError(f"{rundir.root} holds a run of another config ({what}); choose another --out")
