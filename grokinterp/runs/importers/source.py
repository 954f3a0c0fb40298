"""A file or folder that somebody else wrote, opened without running anything in it."""

import json
import pickle
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import TENSOR_SUFFIXES, require_file, sha256
from grokinterp.runs.importers.archive import MAX_INFLATION, check_archive
from grokinterp.runs.importers.lightning import STAND_INS


class Source:
    """A path, what it holds, and what lies beside it; everything is read once and when asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise GrokinterpError(f"there is nothing at {self.path}; check the path")
        if not self.path.is_dir():
            require_file(self.path)
        self._beside: set[Path] = set()

    def digests(self, beside: Iterable[str] = ()) -> dict[str, str]:
        """SHA-256 by name of the files of tensors, and of the files beside them that were read.

        Args:
            beside: Names of more files there.
        """
        folder = self.path if self.path.is_dir() else self.path.parent
        named = {folder / Path(name).name for name in beside}
        return {path.name: sha256(path) for path in sorted({*self.files, *self._beside, *named}) if path.is_file()}

    @cached_property
    def content(self) -> Any:
        """What the file holds: dicts, lists, numbers, strings and tensors; None for a folder."""
        return None if self.path.is_dir() else load_tensors(self.path)

    @cached_property
    def first(self) -> Any:
        """What the file holds, or the first file of tensors in the folder; None where there is none."""
        if self.path.is_file():
            return self.content
        return load_tensors(self.files[0]) if self.files else None

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of tensors in the folder (or the file itself), by name; links out of the folder are left out."""
        if self.path.is_file():
            return (self.path,)
        root = self.path.resolve()
        found = (p for p in self.path.iterdir() if p.is_file() and p.suffix in TENSOR_SUFFIXES)
        return tuple(sorted(p for p in found if p.resolve().is_relative_to(root)))

    def json_beside(self, name: str) -> dict[str, Any] | None:
        """The JSON object in a file of that name in the folder (or beside the file); None where there is none."""
        path = (self.path if self.path.is_dir() else self.path.parent) / name
        if not path.is_file():
            return None
        require_file(path)
        self._beside.add(path)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise GrokinterpError(f"{path} is not valid JSON; correct it or take it away") from None
        if not isinstance(value, dict):
            raise GrokinterpError(f"{path} holds no JSON object; correct it or take it away")
        return value


def load_tensors(path: Path) -> Any:
    """What a .pt, .pth, .ckpt or .safetensors file holds; code in it is never run.

    Raises:
        GrokinterpError: no permission to read it, damaged, inflated, or in need of full unpickling.
    """
    require_file(path)
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise GrokinterpError(f"{path} is damaged ({error}); get it again") from None
    check_archive(path)
    content = _load_pickled(path)
    _refuse_strides(path, content)
    return content


def _load_pickled(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(STAND_INS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch finds odd in a file the refusal says enough
            return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if not _is_pickled(path):
            raise GrokinterpError(f"{path} is damaged or no torch file; get it again") from None
        raise GrokinterpError(_why_refused(path, str(error))) from None
    except MemoryError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise GrokinterpError(f"{path} is damaged or no torch file ({type(error).__name__}); get it again") from None


def _is_pickled(path: Path) -> bool:
    """Whether it is a zip archive, or begins as pickles of protocol 2 and later do."""
    with path.open("rb") as file:
        start = file.read(2)
    return start in (b"PK", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


def _refuse_strides(path: Path, content: Any) -> None:
    """A tensor's shape may repeat its few numbers without end."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(content))
    if size > MAX_INFLATION * max(path.stat().st_size, 2**20):
        raise GrokinterpError(f"{path} has tensors of {size:,} bytes, more than it holds; so this is no checkpoint")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested dicts, lists and tuples, which may hold themselves."""
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, Mapping | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            todo += one.values() if isinstance(one, Mapping) else one


def _why_refused(path: Path, reason: str) -> str:
    needed = reason.partition("GLOBAL ")[2].split(" ")[0] if "GLOBAL " in reason else ""
    what = f"the class {needed}" if needed else "Python objects"
    if needed.endswith("Config"):
        plain = "json.loads(json.dumps(vars(content['config']), default=str))"
        fix = f"content['config'] = {plain}; torch.save(content, new_path)"
    else:
        fix = "torch.save({name: content[name] for name in (...)}, new_path) with the tensors and numbers alone"
    return (
        f"{path} can't be read without running code in it (it holds {what}); where you trust it, save it anew: "
        f"content = torch.load(path, weights_only=False); {fix}"
    )
