"""Where run directories lie in a folder, such as a sweep's."""

from collections.abc import Iterator
from pathlib import Path

from grokinterp.runs.rundir import RunDir


def run_folders(root: Path) -> Iterator[Path]:
    """Run directories in a folder, and in the folders in it, by name."""
    for child in sorted(path for path in root.iterdir() if path.is_dir()):
        if RunDir(child).exists():
            yield child
        else:
            yield from sorted(path for path in child.iterdir() if path.is_dir() and RunDir(path).exists())
