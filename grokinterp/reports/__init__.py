"""One offline HTML page a run: what happened, and linked views with one slider over the checkpoints.

maps.py holds what is computed from some checkpoints and pairs.py packs it; curves.py and spectra.py read the tables;
views.py has the views in their order with captions and reasons; page.py makes the page's text, whose template, style
and scripts are in page/.
"""

from pathlib import Path

from grokinterp.reports.story import story
from grokinterp.run import Run

__all__ = ["report", "story"]


def report(run: Run, *, show_progress: bool | None = None) -> Path:
    """Write report.html from the run's tables and checkpoints and return its path; it needs no network.

    The same run gives the same page, byte for byte.

    Raises:
        GrokinterpError: a damaged table.
    """
    from grokinterp.reports.document import document
    from grokinterp.reports.page import build_page
    from grokinterp.reports.story import headline
    from grokinterp.runs.files import remove_abandoned, write_text

    title = f"{run.config.name}: {run.config.task.operation}"
    page = build_page(title, headline(run), document(run, show_progress=show_progress))
    remove_abandoned(run.rundir.analysis_leftovers())
    write_text(run.rundir.report_path, page)
    return run.rundir.report_path
