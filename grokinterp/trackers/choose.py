"""Which trackers a user asked for, refused before anything is trained."""

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.trackers.tracker import Track, Tracker


def _tensorboard() -> Tracker:
    from grokinterp.trackers.tensorboard_files import TensorBoardFiles

    return TensorBoardFiles()


def _wandb() -> Tracker:
    from grokinterp.trackers.wandb_run import WandbRun

    return WandbRun()


TRACKERS: dict[str, Callable[[], Tracker]] = {"tensorboard": _tensorboard, "wandb": _wandb}
"""By name, which is also that of the package it needs and of the extra that installs it."""


def choose_trackers(track: Track) -> list[Tracker]:
    """The trackers of names and objects, each name once.

    Raises:
        GrokinterpError: a name that is none, a package that is not installed, or an object that is no tracker.
    """
    several = isinstance(track, Iterable) and not isinstance(track, str | Tracker)
    wanted: list[Any] = [] if track is None else list(track) if several else [track]
    names = dict.fromkeys(one for one in wanted if isinstance(one, str))
    return [_named(name) for name in names] + [_own(one) for one in wanted if not isinstance(one, str)]


def _named(name: str) -> Tracker:
    if all(part in TRACKERS for part in name.split(",")[:2]) and "," in name:
        raise GrokinterpError(f"{name!r} is not a tracker; give --track once for each")
    if name not in TRACKERS:
        raise GrokinterpError(f"{name!r} is not a tracker; {suggest(name, TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        raise GrokinterpError(f'--track {name} needs the package {name}; run: pip install "grokinterp[{name}]"')
    return TRACKERS[name]()


def _own(tracker: Any) -> Tracker:
    if not isinstance(tracker, Tracker) or isinstance(tracker, type):
        raise GrokinterpError(
            f"track={tracker!r} is no tracker; give {' or '.join(map(repr, TRACKERS))}, or an object with the "
            "methods start(folder, config), log(step, metrics) and finish()"
        )
    return tracker
