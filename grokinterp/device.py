"""Which device, and how many threads."""

import contextlib
from collections.abc import Generator

import torch

from grokinterp.errors import GrokinterpError


def resolve_device(name: str) -> torch.device:
    """auto: cuda where there is one, else cpu.

    Raises:
        GrokinterpError: a CUDA device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise GrokinterpError(f"{name!r} is not a device; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise GrokinterpError(f"there is no device {name} here; use --device cpu or auto")
    return device


@contextlib.contextmanager
def thread_count(threads: int | None) -> Generator[int]:
    """Run with that many torch threads (None: as many as torch has now) and restore them after.

    Sums are split over threads, so bit-identical results need the same number.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
