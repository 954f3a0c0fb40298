"""The page of a run, or of a folder of runs."""

from pathlib import Path

from grokinterp.run import Run, open_run


def report(what: Run | str | Path, *, out: str | Path | None = None, show_progress: bool | None = None) -> Path:
    """Write report.html of a run, or the page that compares the runs of a folder, and return its path.

    It needs no network, and the same run or folder gives the same page, byte for byte.

    Args:
        what: A run, a run directory, or a folder of runs.
        out: The folder for the page, if not the run's own or the folder itself.
        show_progress: None shows a bar on a terminal.

    Raises:
        GrokinterpError: nothing there, no run, a damaged table, or a file where `out` is to be.
    """
    if isinstance(what, Run):
        if out is not None:
            what = open_run(what.path, out=out)
        return _of_run(what, show_progress)
    from grokinterp.comparison import compare, holds_runs

    if holds_runs(what):
        return compare(what, out=out, show_progress=show_progress)
    return _of_run(open_run(what, out=out), show_progress)


def _of_run(run: Run, show_progress: bool | None) -> Path:
    from grokinterp.reports import report as report_run

    return report_run(run, show_progress=show_progress)
