"""Files that are never half-written, and a lock that dies with its process."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError, InUseError

TENSOR_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
"""Of checkpoints, ours and other people's."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it into place.

    At every moment `path` is the old file or the new one; on an error it is the old one and the
    temporary file is gone. What a killed process leaves is for `remove_abandoned`.

    Raises:
        GrokinterpError: `path` is a folder.
    """
    if path.is_dir():
        raise GrokinterpError(f"{path} is a folder, and a file is to be written there; move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = _claim_temporary(path)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _claim_temporary(path: Path) -> tuple[int, Path]:
    """A new temporary file beside `path`, locked while the handle is open, which says that it is in use."""
    prefix, suffix = temporary_name(path, "/").split("/")
    while True:
        try:
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
        except PermissionError as error:  # of the temporary file nobody has heard
            raise PermissionError(error.errno, error.strerror, str(path)) from None
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else it was removed as abandoned before it was locked
            return handle, Path(name)
        os.close(handle)


def remove_abandoned(temporaries: Iterable[Path]) -> None:
    """Delete temporary files whose writer was killed; those that are being written are left alone."""
    for path in temporaries:
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def temporary_name(path: Path, random: str) -> str:
    """The name under which `path` is written before it is renamed."""
    return f".{path.name}.{random}.tmp"


def write_bytes(path: Path, content: bytes) -> None:
    """Atomically write bytes."""
    write_atomically(path, lambda temporary: _fill(temporary, content))


def write_text(path: Path, content: str) -> None:
    """Atomically write UTF-8 text."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Atomically write indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        GrokinterpError: missing, not JSON, or not an object.
    """
    require_file(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GrokinterpError(f"{path} is missing; is this a complete run directory?") from None
    except (ValueError, RecursionError):  # a number of thousands of digits is a ValueError
        raise GrokinterpError(f"{path} is not valid JSON; restore it from a copy") from None
    if not isinstance(value, dict):
        raise GrokinterpError(f"{path} holds no JSON object; restore it from a copy")
    return value


def require_file(path: Path) -> None:
    """Refuse a folder, a pipe or device, which could be read for ever, and a file that may not be read.

    What is missing or damaged is for the reader to say.

    Raises:
        GrokinterpError: as said.
    """
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a pipe or a device"
            raise GrokinterpError(f"{path} is no file but {what}; give or restore a file")
        path.open("rb").close()
    except PermissionError:
        raise GrokinterpError(
            f"there is no permission to read {path}; change its permissions or those of its folder"
        ) from None
    except OSError:
        return


def refuse_file_in_the_way(folder: Path) -> None:
    """Refuse a place for a folder where a file lies, or below a file, before anything is made.

    Raises:
        GrokinterpError: as said.
    """
    place = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if place is not None and not place.is_dir():
        raise GrokinterpError(f"a file is in the way at {place}; choose another --out")


def sha256(path: Path) -> str:
    """Hex digest of the file's bytes.

    Raises:
        OSError: it can't be read, or is a pipe or device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "this is no file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path, what: str) -> Generator[None]:
    """Hold an exclusive lock on `path`; the kernel releases it when the process dies.

    Raises:
        InUseError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise InUseError(
                f"{what} is in use by another process (pid {owner}); wait for it or stop it first"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
