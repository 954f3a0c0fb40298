"""`gi.train_replicas`: runs alike but for seeds, learning rates and weight decays, trained in one call."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from grokinterp.config import LSTMConfig, MLPConfig, RegularizerConfig, RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.run import Run, open_run
from grokinterp.runs.finished import is_finished
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_resume
from grokinterp.training.loop import check_same
from grokinterp.training.replica_loop import train_together
from grokinterp.training.start import check_memory, check_resumable, train

SEEDS = (("model", "init_seed"), ("task", "split_seed"), ("task", "label_seed"), ("train", "seed"))
MAY_DIFFER = {*SEEDS, ("optimizer", "lr"), ("optimizer", "weight_decay")}
MOST = 4096
"""Replicas of one call; each has a folder, three open files and a lock of its own."""

ONE_BY_ONE = "train them one by one"


def replica_configs(config: RunConfig, n: int) -> list[RunConfig]:
    """`config` n times, with its seeds of init, split, labels and batches s, s + 1, ..., s + n - 1 together.

    Seeds that are different in `config` count up each from its own value. Replicas are called NAME-seedS with S
    the seed of the initial weights.

    Raises:
        GrokinterpError: n is below 1, or a seed or a name grows too large.
    """
    if n < 1:
        raise GrokinterpError(f"{n} replicas are none; take at least 1")
    if n > MOST:
        raise GrokinterpError(f"{n} replicas are more than the {MOST} of one call; take fewer")
    replicas = []
    for i in range(n):
        data = config.model_dump()
        for section, field in SEEDS:
            data[section][field] += i
        data["name"] = f"{config.name}-seed{data['model']['init_seed']}"
        replicas.append(RunConfig.from_mapping(data))
    return replicas


def train_replicas(
    configs: Sequence[RunConfig],
    directories: Sequence[str | Path],
    *,
    resume: bool = True,
    show_progress: bool | None = None,
) -> list[Run]:
    """Train each config into its directory, all of them side by side on a leading replica axis, and open the runs.

    The configs may differ in name, seeds, `optimizer.lr` and `optimizer.weight_decay`. Each directory is that of an
    ordinary run, which `train` and this function reuse or go on with alike. Finished runs are reused. Those that a
    crash left at different steps go on in turn, those at the same step together. A replica that diverges stops, and
    the others go on to their end.

    Not offered: LayerNorm, dropout, the loss on the sequence, the hooked engine, regularizers, muon, decay to the
    initial weights, and an end by wall time. A replica that ends by grokking leaves the others to go on.

    Measured on one CPU thread, 40 steps: 16 transformers of width 32 at p = 13 take 0.6 of the time of single runs, 4
    of the preset ci 1.4 times as much, 4 of quick 1.9 times as much: single runs have a backward pass by hand, which
    has no replica axis. Not measured on a GPU.

    **Differs:** from single runs by floating-point reassociation. Step 0, split and labels are the same to the bit.
    Key biases of a transformer, which move no logit, agree less: Adam divides one rounding error by another there.
    **Known values:** single runs: losses to 1e-9 relative over 100 steps in float64; metrics to 1e-4 over 50 steps in
    float32.

    Args:
        configs: R of them.
        directories: As many, all different.
        resume: As in `train`.
        show_progress: As in `train`.

    Raises:
        GrokinterpError: configs that cannot be trained together, what `train` raises it for, with nothing touched;
            or, after the others have ended, replicas that diverged.
        Interrupted: stopped by Ctrl-C or SIGTERM between two steps; call again to go on.
    """
    _check_together(configs)
    rundirs = [RunDir(directory) for directory in directories]
    if len(rundirs) != len(configs) or len({rundir.root.resolve() for rundir in rundirs}) != len(configs):
        raise GrokinterpError(f"{len(configs)} replicas need as many different directories")
    for rundir in rundirs:
        if RunDir(rundir.root.parent).exists():
            raise GrokinterpError(
                f"{rundir.root.parent} holds a run, so replicas cannot lie in it; choose another place"
            )
    by_step: dict[int, list[tuple[RunConfig, RunDir]]] = {}
    for config, rundir in zip(configs, rundirs, strict=True):
        if not _is_reusable(config, rundir, resume=resume):
            by_step.setdefault(_saved_step(rundir), []).append((config, rundir))
    for members in by_step.values():
        check_memory(members[0][0], len(members))
    if len(by_step) > 1 and show_progress is not False:
        _say_apart({step: len(members) for step, members in by_step.items()})
    failures = []
    for members in by_step.values():
        failures += _train_members(members, show_progress)
    if failures:
        raise GrokinterpError("; ".join(failures))
    return [open_run(directory) for directory in directories]


def _say_apart(numbers: dict[int, int]) -> None:
    """Say that replicas are not at one step; `numbers` says how many are at each."""
    at = ", ".join(f"{n} at step {step}" for step, n in numbers.items())
    sentence = f"replicas were left at different steps ({at}); each group goes on by itself, one after another"
    Console(stderr=True).print(sentence, soft_wrap=True, highlight=False, markup=False)


def _saved_step(rundir: RunDir) -> int:
    """The step to go on from."""
    step = read_resume(rundir).get("step") if rundir.resume_path.exists() else 0
    return step if isinstance(step, int) else -1  # refused once it is read as a whole


def _train_members(members: list[tuple[RunConfig, RunDir]], show_progress: bool | None) -> list[str]:
    """Train replicas that are at one step; one by itself needs no replica axis."""
    if len(members) > 1:
        configs, rundirs = zip(*members, strict=True)
        return train_together(list(configs), list(rundirs), show_progress=show_progress)
    ((config, rundir),) = members
    try:
        train(config, rundir.root, show_progress=show_progress)
    except GrokinterpError as error:
        return [f"{rundir.root}: {error}"]
    return []


def _is_reusable(config: RunConfig, rundir: RunDir, *, resume: bool) -> bool:
    """Whether the run is there and finished; False where it is to be started or to go on.

    Raises:
        GrokinterpError: neither; as in `train`.
    """
    if not rundir.exists():
        if not rundir.is_free():
            raise GrokinterpError(f"{rundir.root} is there already and holds no run; choose another directory")
        return False
    check_same(rundir, config)
    if is_finished(rundir, config):
        return True
    check_resumable(rundir, config)
    if not resume:
        raise GrokinterpError(f"{rundir.root} holds an unfinished run of this config; add --resume to go on")
    return False


def _check_together(configs: Sequence[RunConfig]) -> None:
    """Refuse what has no replica axis, and configs of different shapes."""
    if not configs:
        raise GrokinterpError("there are no configs to train; give at least one")
    for config in configs[1:]:
        differing = _first_difference(configs[0], config)
        if differing is not None:
            raise GrokinterpError(f"the configs differ in {differing}, which replicas share; {ONE_BY_ONE}")
    why = _why_alone(configs[0])
    if why is not None:
        raise GrokinterpError(f"replicas are not offered with {why}; {ONE_BY_ONE}")


def shape_of(config: RunConfig) -> str | None:
    """What replicas share, as text: configs of equal shapes can be trained together; None where it is not offered."""
    if _why_alone(config) is not None:
        return None
    data = config.model_dump(mode="json", exclude={"name"})
    for section, field in MAY_DIFFER:
        data[section].pop(field, None)
    return json.dumps(data, sort_keys=True)


def _first_difference(one: RunConfig, other: RunConfig) -> str | None:
    """The first field that replicas share and these do not."""
    left, right = one.model_dump(exclude={"name"}), other.model_dump(exclude={"name"})
    for section, fields in left.items():
        if not isinstance(fields, dict):
            continue
        for field in [*fields, *(f for f in right[section] if f not in fields)]:
            if (section, field) not in MAY_DIFFER and fields.get(field) != right[section].get(field):
                return f"{section}.{field}"
    return None


def _why_alone(config: RunConfig) -> str | None:
    """What of a config is not offered for replicas; None if all is."""
    plain = isinstance(config.model, MLPConfig | LSTMConfig)
    extra, off = config.regularizer.model_dump(), RegularizerConfig.model_validate({}).model_dump()
    on = [name for name, value in extra.items() if value != off[name]]
    if on:
        return f"regularizer.{on[0]}"
    if config.why_not_fast is not None and not plain:
        return config.why_not_fast
    if config.train.engine == "hooked" and not plain:
        return "the hooked engine"
    refused = {
        "muon": config.optimizer.name == "muon",
        "decay_to init": config.optimizer.decay_to == "init",
        "max_seconds": config.train.max_seconds is not None,
    }
    return next((what for what, is_on in refused.items() if is_on), None)
