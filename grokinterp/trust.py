"""The command line's part of trust: `verify`, `forget` and `train --from`; heavy imports inside the functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from grokinterp.errors import GrokinterpError
from grokinterp.exits import say


def verify(
    path: Path, /, *, out: Annotated[Path | None, Parameter(help="Where the tables are, if not in the run.")] = None
) -> int:
    """Check a run, or every run in a folder, against itself; status 2 if something disagrees.

    Checksums; losses and accuracies once more from the checkpoints; task and split once more from the config;
    tables, phases and summary against what they were made from. Nothing is changed.

    Parameters
    ----------
    path
        A run directory, its ckpts/ folder, or a folder of runs.
    """
    from grokinterp.run import find_runs, open_run
    from grokinterp.verify import verify as checks_of

    n_problems, found = 0, find_runs(path)
    for one in found:
        if len(found) > 1:
            say(f"verifying {one}")
        for check in checks_of(open_run(one, out=out / one.name if out is not None and len(found) > 1 else out)):
            say(check.line)
            for problem in check.problems:
                say(f"  {problem}")
            n_problems += len(check.problems)
    say("everything agrees" if not n_problems else f"{n_problems} disagree")
    return 2 if n_problems else 0


def forget(path: Path, /) -> int:
    """Go on without the checkpoints of a run that are damaged or gone: delete the damaged ones, record all as lost.

    Afterwards `verify` names them as lost, and finds no fault in it. First see what `verify` says: a copy, or
    `grokinterp train --from`, gives them back.

    Parameters
    ----------
    path
        A run directory or its ckpts/ folder.
    """
    from grokinterp.completeness import forget as forget_lost
    from grokinterp.run import open_run

    run = open_run(path)
    new = forget_lost(run)
    if not new:
        say(f"no checkpoint of {run.path} is damaged or gone")
        return 0
    say(f"lost, and recorded as lost in {run.rundir.lost_path}: step {', '.join(map(str, new))}")
    say(f"{len(run.steps)} checkpoints are left; next: grokinterp analyze {run.path}")
    return 0


def repeat(source: Path, out: Path | None, given: Mapping[str, Any], *, resume: bool) -> int:
    """Train the run in `source` once more and say whether it came out the same: 0 if it did, 1 if not.

    Args:
        source: A run directory.
        out: Where to; it must be said.
        given: What else stands on the command line, by its name; nothing of it may be there.
        resume: Go on with an interrupted repetition.
    """
    from grokinterp.again import train_again
    from grokinterp.run import open_run

    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise GrokinterpError(f"--from repeats the run's own config; leave out {' and '.join(extra)}")
    if out is None:
        raise GrokinterpError("say with --out where --from writes the repetition")
    first = open_run(source)
    again = train_again(first, out, resume=resume)
    for warning in again.warnings:
        say(f"warning: {warning}")
    for found in again.restored:
        say(f"{found} is what {source} has lost; copy it to {first.path / found.relative_to(out)}")
    if again.differs is not None:
        say(f"{out} differs from {source}, first in {again.differs}")
        return 1
    say(f"{again.n_checkpoints} checkpoints, the log, the task and the split have the bytes of {source}")
    return 0
