"""One offline HTML page for a folder of runs: what varies, when each run grokked, every curve, a table.

entries.py reads the runs, from configs, metrics.jsonl and summaries alone; factors.py finds what varies among them;
survival.py has medians and curves with the runs that never got there; story.py says it in sentences; document.py puts
all of it into one JSON object, and page.py into the page, whose template, style and scripts are in page/. Needs no
torch.
"""

from pathlib import Path

from grokinterp.runs.folders import run_folders
from grokinterp.runs.rundir import RunDir


def holds_runs(path: str | Path) -> bool:
    """Whether a folder is no run itself and holds runs, or folders of runs."""
    root = Path(path)
    return root.is_dir() and not RunDir(root).exists() and next(run_folders(root), None) is not None


def compare(folder: str | Path, *, out: str | Path | None = None, show_progress: bool | None = None) -> Path:
    """Write the page that compares the runs of a folder and return its path; it needs no network.

    The same folder gives the same page, byte for byte.

    Args:
        folder: It holds runs, or folders of runs.
        out: The folder where report.html goes, if not into `folder`.
        show_progress: None shows a bar on a terminal.

    Raises:
        GrokinterpError: no run there can be read, or a file where `out` is to be.
    """
    from grokinterp.comparison.document import document
    from grokinterp.comparison.entries import read_entries
    from grokinterp.comparison.page import build_page
    from grokinterp.comparison.story import headline
    from grokinterp.runs.files import refuse_file_in_the_way, remove_abandoned, temporary_name, write_text

    root = Path(folder)
    if out is not None:
        refuse_file_in_the_way(Path(out))
    target = RunDir(root, out).report_path
    entries = read_entries(root, show_progress=show_progress)
    data = document(root, target, entries)
    page = build_page(f"{data['name']}: {len(entries)} run{'s' * (len(entries) != 1)}", headline(entries), data)
    remove_abandoned(target.parent.glob(temporary_name(target, "*")))
    write_text(target, page)
    return target
