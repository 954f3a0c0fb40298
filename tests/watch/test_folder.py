"""A folder of runs: counts, and a line a run."""

import pytest
from rich.cells import cell_len

from grokinterp.runs.files import locked
from grokinterp.runs.rundir import RunDir
from grokinterp.sweeps.sweepdir import SweepDir
from grokinterp.watch import look
from grokinterp.watch.folder import FolderWatcher, folder_view, headline
from watch.conftest import lines, write_run


@pytest.fixture
def folder(tmp_path):
    """Two runs that are through, one that was killed, one that is damaged, and what is no run."""
    for name in ("done", "adamw-lr0.001-frac0.3-seed0-" + "x" * 60):
        write_run(tmp_path / "sweep" / name, range(0, 41, 10), checkpoints=(40,))
    write_run(tmp_path / "sweep" / "killed")
    write_run(tmp_path / "sweep" / "odd").config_path.write_text("{")
    (tmp_path / "sweep" / "logs").mkdir()
    return tmp_path / "sweep"


def test_runs_are_counted_and_those_at_work_come_first(folder):
    watcher = FolderWatcher(folder)
    with locked(RunDir(folder / "killed").lock_path, "x"):
        rows = watcher.look()
        assert not watcher.is_over(rows)
    assert headline(folder, rows) == [f"{folder}: 4 runs begun, 1 training, 1 damaged, 2 finished"]
    for width in (80, 40, 24):
        first, second = headline(folder / ("a" * 90), rows, width)
        assert first.endswith("a: 4 runs begun")
        assert (len(first), len(second)) <= (width, width)
    assert headline(folder, rows, 12)[0] == "4 runs begun"
    assert (rows[0].name, rows[0].step, rows[0].train_accuracy, rows[0].test_accuracy) == ("killed", 30, 1.0, 0.25)


def test_it_is_over_when_all_runs_are_and_no_sweep_is_at_work(folder):
    watcher = FolderWatcher(folder)
    assert not watcher.is_over(watcher.look())
    for name in ("odd", "killed"):
        (folder / name / "config.json").unlink()
    assert watcher.is_over(watcher.look())
    with locked(SweepDir(folder).lock_path, "x"):
        assert not watcher.is_over(watcher.look())


def test_runs_are_found_in_the_folders_of_a_folder_too_and_a_sweep_at_work_there(folder):
    watcher = FolderWatcher(folder.parent)
    rows = watcher.look()
    assert {row.name for row in rows} >= {"sweep/done", "sweep/killed", "sweep/odd"}
    assert watcher.is_idle(rows)
    with locked(SweepDir(folder).lock_path, "x"):
        assert not watcher.is_idle(watcher.look())


def test_runs_that_are_through_are_read_once_and_again_when_somebody_trains_them(folder, monkeypatch):
    read, reads = look.read_metrics, []
    monkeypatch.setattr(look, "read_metrics", lambda path: reads.append(path.parent.name) or read(path))
    watcher = FolderWatcher(folder)
    for _ in range(3):
        watcher.look()
    assert sorted(reads)[-2:] == ["done", "killed"]
    assert len(reads) == 3
    with locked(RunDir(folder / "done").lock_path, "x"):
        (folder / "done" / "metrics.jsonl").write_text(lines(range(0, 21, 10)))
        (found,) = (row for row in watcher.look() if row.name == "done")
    assert (found.state, found.step) == ("training", 20)


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("height", [6, 24])
def test_it_fits_the_terminal(width, height, folder):
    shown = folder_view(folder, FolderWatcher(folder).look(), width, height).plain.splitlines()
    assert max(map(cell_len, shown)) <= width
    assert ("and 1 more" in shown) == (height == 6)
    assert any(line.split()[:3] == ["killed", "killed", "30"] for line in shown)
