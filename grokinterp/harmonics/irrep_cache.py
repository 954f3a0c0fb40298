"""Named arrays that take a while to compute, kept in the user's cache folder."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

SCHEME = 1
"""Raised whenever what is kept changes its meaning."""

NamedArrays = list[tuple[str, np.ndarray]]


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/grokinterp, or ~/.cache/grokinterp."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "grokinterp"


def cached_on_disk(kind: str, key: str, build: Callable[[], NamedArrays]) -> NamedArrays:
    """What `build` returns, from disk if it was built before under the same key.

    A cache that cannot be read or written is passed over: the arrays are then built anew.
    """
    digest = hashlib.sha256(f"{SCHEME}:{key}".encode()).hexdigest()[:24]
    try:
        path = cache_folder() / kind / f"{digest}.npz"
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return [(str(name), saved[f"array_{i}"]) for i, name in enumerate(saved["names"])]
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, BadZipFile):
        pass
    built = build()
    with contextlib.suppress(OSError, RuntimeError):
        _write(cache_folder() / kind / f"{digest}.npz", built)
    return built


def _write(path: Path, named: NamedArrays) -> None:
    """Beside itself, then renamed, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"array_{i}": array for i, (_, array) in enumerate(named)}
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, names=np.array([name for name, _ in named]), **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
