"""Files are the old one or the new one, never a half; locks die with their process."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from grokinterp.errors import GrokinterpError
from grokinterp.runs import files


def failing(error):
    def write(path):
        path.write_bytes(b"half of the new")
        raise error

    return write


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("x"), KeyboardInterrupt("stop")]
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_failing_writer_leaves_the_old_file_and_no_other(error, existed, tmp_path):
    path = tmp_path / "table"
    if existed:
        path.write_bytes(b"old")
    with pytest.raises(type(error)):
        files.write_atomically(path, failing(error))
    assert [p.name for p in tmp_path.iterdir()] == (["table"] if existed else [])
    assert not existed or path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_failing_sync_or_rename_leaves_the_old_file(name, tmp_path, monkeypatch):
    path = tmp_path / "table"
    files.write_bytes(path, b"old")

    def fail(*_args, **_kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match="Input/output"):
        files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_at_each_moment_a_reader_sees_a_whole_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "deep" / "table", []
    files.write_bytes(path, b"old" * 1000)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(path.read_bytes()), fsync(handle)))
    files.write_bytes(path, b"new" * 1000)
    assert seen == [b"old" * 1000, b"new" * 1000]  # synced before the rename, its folder after


def test_files_get_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "x", "é")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
    assert (tmp_path / "x").read_bytes() == "é".encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_json_that_others_cannot_read_is_never_written(value, tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "x.json", value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_damaged_json_is_refused_by_name(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(GrokinterpError, match=r"x\.json is not valid JSON"):
        files.read_json(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(GrokinterpError, match=r"x\.json is missing"):
        files.read_json(tmp_path / "x.json")


HOLDER = """
import sys, pathlib
from grokinterp.runs.files import locked
with locked(pathlib.Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_one_dies(tmp_path):
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(GrokinterpError, match=rf"the run is in use .*pid {holder.pid}"),
            files.locked(lock, "the run"),
        ):
            raise AssertionError
        holder.kill()
    with files.locked(lock, "the run"):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_is_free_after_an_error_inside(tmp_path):
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "lock", "x"):
        1 / 0  # noqa: B018
    with files.locked(tmp_path / "lock", "x"):
        pass


def test_a_file_that_cannot_be_written_is_named_and_not_its_temporary_one(tmp_path, monkeypatch):
    def refuse(**about):
        raise PermissionError(errno.EACCES, "Permission denied", str(about["dir"] / f"{about['prefix']}x"))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(PermissionError) as raised:
        files.write_text(tmp_path / "model.pt", "x")
    assert raised.value.filename == str(tmp_path / "model.pt")
