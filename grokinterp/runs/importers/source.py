"""A file or folder that somebody else wrote, opened without running anything in it."""

import json
import pickle
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from grokinterp.errors import GrokinterpError

TENSOR_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
MAX_INFLATION = 4
"""torch stores tensors uncompressed; a zip that grows more than this is no checkpoint."""


class Source:
    """A path, what it holds, and what lies beside it; everything is read once and when asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise GrokinterpError(f"there is nothing at {self.path}; check the path")

    @cached_property
    def content(self) -> Any:
        """What the file holds: dicts, lists, numbers, strings and tensors; None for a folder."""
        return None if self.path.is_dir() else load_tensors(self.path)

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
        GrokinterpError: damaged, inflated, or in need of full unpickling.
    """
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise GrokinterpError(f"{path} is damaged ({error}); get it again") from None
    _refuse_inflated(path)
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise GrokinterpError(_why_refused(path, str(error))) from None
    except MemoryError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise GrokinterpError(f"{path} is damaged or no torch file ({type(error).__name__}); get it again") from None


def _refuse_inflated(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        raise GrokinterpError(f"{path} is damaged or no torch file (BadZipFile); get it again") from None
    if size > MAX_INFLATION * max(path.stat().st_size, 2**20):
        raise GrokinterpError(
            f"{path} would unpack to {size:,} bytes, {size // max(path.stat().st_size, 1):,} times its size; "
            "torch does not compress, so this is no checkpoint"
        )


def _why_refused(path: Path, reason: str) -> str:
    needed = reason.partition("GLOBAL ")[2].split(" ")[0] if "GLOBAL " in reason else ""
    what = f"the class {needed}" if needed else "Python objects"
    return (
        f"{path} can't be read without running code in it (it holds {what}); in a Python you trust it in, save the "
        "state_dict alone: torch.save(torch.load(path, weights_only=False)[...], new_path)"
    )
