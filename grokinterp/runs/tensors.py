"""The files of a run directory that hold tensors: task, split, checkpoints, resume state.

They are serialised in memory and written by files.py, because the libraries' own writers hide a full
disk (an OSError with its errno) behind errors of their own.
"""

import io
import json
import zipfile
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.cyclic import CyclicCoordinates
from grokinterp.runs.files import require_file, sha256, write_bytes
from grokinterp.runs.rundir import RunDir
from grokinterp.tasks import Task
from grokinterp.tasks.layouts import build_layout


def write_task(rundir: RunDir, task: Task, train_mask: np.ndarray | None, labels: np.ndarray | None = None) -> None:
    """Write the operation's table with its coordinates, and where known the split and the labels trained on."""
    tensors = {"table": task.table}
    if task.coordinates is not None:
        c = task.coordinates
        tensors |= {"left": c.left, "right": c.right, "answer": c.answer}
    meta = {
        "name": task.name,
        "n_answers": str(task.n_answers),
        "layout": task.layout.name,
        "n_operand_tokens": str(task.layout.n_operand_tokens),
        "n_operands": str(task.layout.n_operands),
        "structure": task.structure,
        "group": task.group_name,
        "coordinates": task.coordinates.label if task.coordinates is not None else "",
    }
    _save_numpy(rundir.task_path, tensors, meta)
    if train_mask is not None:
        noisy = {} if labels is None else {"labels": labels}
        _save_numpy(rundir.split_path, {"train_mask": train_mask, **noisy}, {})


def read_task(rundir: RunDir) -> Task:
    """The task as it was saved, without the code that made it.

    Raises:
        GrokinterpError: no file there, or it is damaged; also where its parts contradict each other.
    """
    tensors, meta = _load_numpy(rundir.task_path)
    try:
        task = _task_of(tensors, meta)
        wrong = _contradiction(task)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        raise GrokinterpError(f"{rundir.task_path} is damaged ({wrong}); restore it from a copy")
    return task


def _task_of(tensors: dict[str, np.ndarray], meta: dict[str, str]) -> Task:
    coordinates = None
    if meta["coordinates"]:
        parts = (tensors["left"], tensors["right"], tensors["answer"])
        coordinates = CyclicCoordinates(*parts, meta["coordinates"])
    layout = build_layout(meta["layout"], int(meta["n_operand_tokens"]), int(meta.get("n_operands", 2)))
    n_answers, group = int(meta["n_answers"]), meta.get("group", "")
    return Task(meta["name"], tensors["table"], n_answers, layout, coordinates, meta["structure"], group)


def _contradiction(task: Task) -> str | None:
    """What about a saved task can't be, in a few words; None if nothing is odd."""
    table, n, c = task.table, task.layout.n_operand_tokens, task.coordinates
    if not _are_integers(table) or table.shape != (n ** (task.layout.n_operands - 1), n):
        return f"its table is {table.dtype} of shape {table.shape}"
    if table.min() < -1 or table.max() >= task.n_answers:
        return f"its answers are {table.min()} to {table.max()}, of {task.n_answers}"
    if c is None:
        return None
    if not all(_are_integers(part) and part.shape == (c.n,) for part in (c.left, c.right, c.answer)):
        return "its coordinates are no lists of elements"
    order = np.arange(c.n)
    if min(c.left.min(), c.right.min()) < 0 or not np.array_equal(
        table[np.ix_(c.left, c.right)], c.answer[(order[:, None] + order) % c.n]
    ):
        return "its coordinates are not those of its table"
    return None


def _are_integers(array: np.ndarray) -> bool:
    return np.issubdtype(array.dtype, np.integer)


def read_train_mask(rundir: RunDir) -> np.ndarray | None:
    """The training mask, or None where the split is unknown.

    Raises:
        GrokinterpError: it is damaged.
    """
    if not rundir.split_path.exists():
        return None
    mask = _load_numpy(rundir.split_path)[0].get("train_mask")
    if mask is None or mask.dtype != bool or mask.shape != read_task(rundir).table.shape:
        raise GrokinterpError(f"{rundir.split_path} is damaged (no mask of the task's pairs); restore it from a copy")
    return mask


def read_labels(rundir: RunDir) -> np.ndarray | None:
    """The labels as they were trained on, or None where they are the answers (or the split is unknown).

    Raises:
        GrokinterpError: they are damaged.
    """
    labels = _load_numpy(rundir.split_path)[0].get("labels") if rundir.split_path.exists() else None
    if labels is None:
        return None
    task = read_task(rundir)
    whole = _are_integers(labels) and labels.shape == task.table.shape
    if not whole or labels.min() < -1 or labels.max() >= task.n_answers:
        raise GrokinterpError(f"{rundir.split_path} is damaged (no labels of the task's pairs); restore it from a copy")
    return labels


def write_checkpoint(rundir: RunDir, step: int, weights: dict[str, Tensor]) -> None:
    """Write one checkpoint and then its checksum; weights that share memory (tied ones) are written as often."""
    path, seen = rundir.checkpoint_path(step), set()
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    for name, value in tensors.items():
        place = value.untyped_storage().data_ptr()
        tensors[name] = value.clone() if place in seen else value
        seen.add(place)
    meta = {"step": str(step)}
    write_bytes(path, safetensors.torch.save(tensors, metadata=meta))
    rundir.write_checksums(rundir.read_checksums() | {path.name: sha256(path)})


def _nearest(rundir: RunDir, step: int) -> str:
    """The steps around one that is not there, as the end of a sentence."""
    steps = rundir.steps()
    around = [*[s for s in steps if s < step][-1:], *[s for s in steps if s > step][:1]]
    return f"; the nearest to it: {', '.join(map(str, around))}" if around else ", and no other"


def read_checkpoint(rundir: RunDir, step: int, device: str = "cpu") -> dict[str, Tensor]:
    """The weights at a step.

    Raises:
        GrokinterpError: no checkpoint there, or its file is damaged.
    """
    if not isinstance(step, Integral):  # numpy's integers are
        raise GrokinterpError(f"step={step!r} is no training step; give a whole number")
    path = rundir.checkpoint_path(step)
    if not path.exists():
        raise GrokinterpError(f"there is no checkpoint at step {step} in {rundir.ckpts}{_nearest(rundir, step)}")
    require_file(path)
    expected = rundir.read_checksums().get(path.name)
    if expected is not None and sha256(path) != expected:
        raise GrokinterpError(f"{path} does not match its checksum (truncated or changed); {rundir.way_back()}")
    try:
        return safetensors.torch.load_file(path, device=device)
    except (safetensors.SafetensorError, OSError) as error:
        raise GrokinterpError(f"{path} is damaged ({error}); {rundir.way_back()}") from None


def write_resume(rundir: RunDir, state: dict[str, Any]) -> None:
    """Write what training needs to go on."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(rundir.resume_path, buffer.getvalue())


def read_resume(rundir: RunDir) -> dict[str, Any]:
    """What training needs to go on; never unpickles code.

    Raises:
        GrokinterpError: damaged.
    """
    require_file(rundir.resume_path)
    try:
        with zipfile.ZipFile(rundir.resume_path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > 4 * max(rundir.resume_path.stat().st_size, 2**20):  # torch does not compress
                raise zipfile.BadZipFile(f"would unpack to {unpacked} bytes")
            damaged = archive.testzip()  # torch writes a checksum of each part and does not look at it
        if damaged is not None:
            raise zipfile.BadZipFile(damaged)
        state = torch.load(rundir.resume_path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict):
            raise TypeError(f"it holds a {type(state).__name__}")
        return state
    except Exception as error:  # torch raises many kinds for a damaged file
        raise GrokinterpError(
            f"{rundir.resume_path} is damaged ({type(error).__name__}); "
            "restore it from a copy, or train into another --out"
        ) from None


def _save_numpy(path: Path, tensors: dict[str, np.ndarray], meta: dict[str, str]) -> None:
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    write_bytes(path, _sorted_metadata(safetensors.numpy.save(tensors, metadata=meta)))


def _sorted_metadata(content: bytes) -> bytes:
    """The same safetensors file with its metadata in order: the library's own order is random."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[start:]


def _load_numpy(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    require_file(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise GrokinterpError(f"{path} is missing; is this a complete run directory?") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise GrokinterpError(f"{path} is damaged ({error}); restore it from a copy") from None
