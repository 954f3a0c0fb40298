"""The command line's part of importing: `import`, and what `analyze` does with other people's files."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from grokinterp.exits import say
from grokinterp.flags import ModelFlags, OptimizerFlags, TaskFlags, TrainFlags, sections


def import_(
    path: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The run directory to write: a new or an empty folder.")],
    format: Annotated[str | None, Parameter(help="The format's name, if not found out.")] = None,  # noqa: A002
    config: Annotated[Path | None, Parameter(help="A TOML file of what was trained; flags win.")] = None,
    task: TaskFlags | None = None,  # ty: ignore[invalid-type-form]
    model: ModelFlags | None = None,  # ty: ignore[invalid-type-form]
    optimizer: OptimizerFlags | None = None,  # ty: ignore[invalid-type-form]
    train: TrainFlags | None = None,  # ty: ignore[invalid-type-form]
) -> int:
    """Turn checkpoints that other people trained into a run directory.

    Loss and accuracy are recomputed first; what a file says against its weights is named.

    Parameters
    ----------
    path
        A file or a folder of theirs.
    """
    flags = sections(task=task, model=model, optimizer=optimizer, train=train)
    _import_one(path, out, format, config, flags)
    say(f"next: grokinterp analyze {out}")
    return 0


def _import_one(path: Path, out: Path, name: str | None, config: Path | None, flags: dict[str, Any]) -> None:
    """Import other people's checkpoints under what a TOML file and flags say, and print what they are found to do."""
    from grokinterp.overrides import load_toml
    from grokinterp.runs.importers import import_run
    from grokinterp.runs.importers.sections import laid_over

    given = laid_over(load_toml(config), flags) if config is not None else flags
    _print_import(import_run(path, out, name, given))


def imported_beside(path: Path, out: Path | None) -> Path | None:
    """The run directory of other people's checkpoints, imported beside them or to `out`; None for runs of our own."""
    from grokinterp.imports import import_beside

    found = import_beside(path, out)
    if found is None:
        return None
    root, report = found
    if report is None:
        say(f"{path} was imported to {root} before and has not changed")
    else:
        say(f"{path} is no run directory; imported to {root}")
        _print_import(report)
    return root


def _print_import(report: Any) -> None:
    """What was recomputed first, then the notes."""
    console, found = Console(), report.recomputed

    def tell(sentence: str) -> None:
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)

    n = len(report.steps)
    which = f"{n} checkpoints, the last one" if n > 1 else "one checkpoint,"
    tell(f"format {report.format}: {which} at step {report.steps[-1]}")
    for side, name in (("", "all"), ("train_", "train"), ("test_", "test")):
        if f"{side}loss" in found:
            accuracy, loss = found[f"{side}accuracy"], found[f"{side}loss"]
            tell(f"recomputed, {name} pairs: accuracy {accuracy:.5g}, loss {loss:.6g} nats")
    for note in report.notes:
        tell(f"note: {note}")
