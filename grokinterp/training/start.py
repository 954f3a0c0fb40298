"""`gi.train`: start a run, go on with it, or reuse it, whichever the directory asks for."""

from pathlib import Path

from rich.console import Console

from grokinterp.config import RunConfig
from grokinterp.device import free_bytes, resolve_device
from grokinterp.errors import GrokinterpError
from grokinterp.estimates import training_estimate
from grokinterp.memory import check
from grokinterp.run import Run, open_run
from grokinterp.runs.files import refuse_file_in_the_way
from grokinterp.runs.finished import is_finished
from grokinterp.runs.metrics import read_metrics
from grokinterp.runs.rundir import RunDir
from grokinterp.trackers import Followers, Track, choose_trackers
from grokinterp.training.loop import check_same, train_run


def train(
    config: RunConfig,
    directory: str | Path,
    *,
    resume: bool = True,
    show_progress: bool | None = None,
    track: Track = None,
) -> Run:
    """Train `config` into `directory` and open the run.

    The same config and finished: reused. The same and unfinished: goes on, to bit-identical weights
    (unless `resume` is false, which is the command line's default). Another config: refused.

    Args:
        track: "tensorboard", "wandb", an object with the methods of `grokinterp.trackers.Tracker`, or several of
            these; told each evaluation while it trains, of a finished run all at once. The run is the same without.

    Raises:
        GrokinterpError: as said above, the place holds something else, or `track` names what can't be used.
        Interrupted: stopped by Ctrl-C or SIGTERM between two steps; call again to go on.
    """
    followers = Followers(choose_trackers(track))
    rundir = RunDir(directory)
    if check_place(config, directory, resume=resume):
        if track is not None:
            followers.start(rundir.tracking, config.model_dump(mode="json"), read_metrics(rundir.metrics_path))
            followers.finish()
        return open_run(directory)
    check_memory(config)
    if show_progress is not False:
        remark_on(config)
    train_run(config, rundir, show_progress=show_progress, followers=followers)
    return open_run(directory)


def check_place(config: RunConfig, directory: str | Path, *, resume: bool = True) -> bool:
    """Whether the run is there and finished; False where it can be started or go on.

    Raises:
        GrokinterpError: neither, as `train` says.
    """
    rundir = RunDir(directory)
    if rundir.exists():
        check_same(rundir, config)
        if is_finished(rundir, config):
            return True
        check_resumable(rundir, config)
        if not resume:
            raise GrokinterpError(f"{directory} holds an unfinished run of this config; add --resume to go on")
    elif not rundir.is_free():
        raise GrokinterpError(f"{directory} is there already and holds no run; choose another --out")
    else:
        refuse_file_in_the_way(rundir.root)
    return False


def check_memory(config: RunConfig, n_replicas: int = 1) -> None:
    """Refuse what the device has no memory for, before anything is allocated or written.

    Raises:
        GrokinterpError: as said, with the numbers.
    """
    check(training_estimate(config, n_replicas), free_bytes(resolve_device(config.train.device)))


def remark_on(config: RunConfig) -> None:
    """Say on standard error what is allowed and perhaps not meant: a run that ends within its warm-up."""
    warmup, steps = config.optimizer.warmup_steps, config.train.steps
    if warmup > steps:
        reached = config.optimizer.lr * (steps - 1) / warmup
        sentence = (
            f"the {steps} steps end within the warm-up of {warmup}, at a learning rate of {reached:.2g} and not "
            f"{config.optimizer.lr:.2g}; --optimizer.warmup-steps 0 trains without"
        )
        Console(stderr=True).print(sentence, soft_wrap=True, highlight=False, markup=False)


def check_resumable(rundir: RunDir, config: RunConfig) -> None:
    """Starting over is right only where nothing is lost by it."""
    root, about = rundir.root, rundir.read_provenance()
    if about.get("engine") == "recorded":
        raise GrokinterpError(f"{root} was recorded from another training loop; train into another --out")
    if about.get("engine") == "imported":
        raise GrokinterpError(f"{root} was imported from other people's checkpoints; train into another --out")
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
