"""The command line's part of trust: `verify`, `forget` and `train --from`; heavy imports inside the functions."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from grokinterp.errors import GrokinterpError
from grokinterp.exits import say
from grokinterp.json_output import print_rows

if TYPE_CHECKING:
    from grokinterp.verify import Check


def verify(
    path: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Where the tables are, if not in the run.")] = None,
    json: Annotated[
        bool, Parameter(negative=(), help="One JSON array: a check of a run each, with run, check, said and problems.")
    ] = False,
) -> int:
    """Check a run, or every run in a folder, against itself; status 2 if something disagrees.

    Checksums; losses and accuracies once more from the checkpoints; task and split once more from the config;
    tables, phases and summary against what they were made from. Nothing is changed.

    Parameters
    ----------
    path
        A run directory, its ckpts/ folder, or a folder of runs.
    """
    from grokinterp.run import find_runs, out_below

    n_problems, found, rows = 0, find_runs(path), []
    alone = len(found) == 1
    for one in found:
        if len(found) > 1 and not json:
            say(f"verifying {one}")
        for check in _checks_of(one, out_below(out, path, one, alone=alone), alone=alone):
            n_problems += len(check.problems)
            if json:
                rows.append({"run": str(one), "check": check.name, "said": check.said, "problems": check.problems})
                continue
            say(check.line)
            for problem in check.problems:
                say(f"  {problem}")
    if json:
        print_rows(rows)
    else:
        say("everything agrees" if not n_problems else f"{n_problems} disagree")
    return 2 if n_problems else 0


def _checks_of(path: Path, out: Path | None, *, alone: bool) -> "Iterable[Check]":
    """The checks of a run; among others, one that cannot be opened has that for its only one."""
    from grokinterp.run import open_run
    from grokinterp.verify import Check, verify

    try:
        run = open_run(path, out=out)
    except GrokinterpError as error:
        if alone:
            raise
        return [Check("config", "not to be read", [str(error)])]
    return verify(run)


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
