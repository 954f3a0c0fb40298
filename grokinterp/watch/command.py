"""The command `watch`; heavy imports inside the function."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from grokinterp.errors import GrokinterpError
from grokinterp.interrupts import STOPPED

SHORTEST, LONGEST = 0.05, 86_400.0


def watch(
    path: Path,
    /,
    *,
    once: Annotated[bool, Parameter(negative=(), help="Print one view and end.")] = False,
    every: Annotated[float, Parameter(help="Seconds between two looks.")] = 1.0,
) -> int:
    """Watch a run in the terminal while this or another process trains it: curves, events, speed, key frequencies.

    Waits for a run that has not begun, and ends when it is finished. One that
    stopped is watched on, as it may be resumed; into a file or a pipe, where
    plain lines go, the command ends then with status 1. It only reads.

    Parameters
    ----------
    path
        A run directory, its ckpts/ folder, or a folder of runs, such as a sweep's.
    """
    from grokinterp.watch.follow import follow, show_once

    if not SHORTEST <= every <= LONGEST:
        raise GrokinterpError(
            f"--every {every:g} is not from {SHORTEST} to {LONGEST:g} seconds; give a number such as 1"
        )
    try:
        return show_once(path) if once else follow(path, every)
    except KeyboardInterrupt:  # the run goes on, so there is nothing to say
        return STOPPED
