"""From the configs of a recipe to what is handed to workers: a run each, or replicas together."""

from collections.abc import Iterator, Sequence
from itertools import islice

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.sweeps.sweepdir import SweepDir
from grokinterp.sweeps.worker import Job
from grokinterp.training.replicas import shape_of


def build_jobs(
    configs: Sequence[RunConfig], place: SweepDir, analyze: list[str] | str | None, replicas: int = 1
) -> list[Job]:
    """The jobs of a sweep.

    Args:
        configs: Of all runs.
        place: The sweep's folder.
        analyze: As in a recipe.
        replicas: How many runs of one shape are trained together, where replicas are offered for them.

    Raises:
        GrokinterpError: replicas below 1.
    """
    if replicas < 1:
        raise GrokinterpError(f"replicas = {replicas} must be at least 1")
    return [_job(group, place, analyze) for group in _groups(configs, replicas)]


def _groups(configs: Sequence[RunConfig], size: int) -> Iterator[list[RunConfig]]:
    """Runs of one shape, `size` at a time; by itself each that has no replica axis."""
    shapes: dict[str, list[RunConfig]] = {}
    for config in configs:
        shapes.setdefault((shape_of(config) if size > 1 else None) or config.name, []).append(config)
    for members in shapes.values():
        rest = iter(members)
        while group := list(islice(rest, size)):
            yield group


def _job(group: Sequence[RunConfig], place: SweepDir, analyze: list[str] | str | None) -> Job:
    names = tuple(config.name for config in group)
    return Job(
        names,
        tuple(config.to_json() for config in group),
        tuple(str(place.run_path(name)) for name in names),
        str(place.log_path(names[0])),
        tuple(analyze) if isinstance(analyze, list) else "all" if analyze else None,
    )
