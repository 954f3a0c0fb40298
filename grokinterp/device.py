"""Which device, and how many threads."""

import contextlib
from collections.abc import Generator

import torch

from grokinterp.errors import GrokinterpError
from grokinterp.memory import available_bytes


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
    if device.type not in ("cpu", "cuda"):
        raise GrokinterpError(f"{name!r} is not a device that is offered; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise GrokinterpError(f"there is no device {name} here; use --device cpu or auto")
    return device


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be taken on a device; None where the system does not say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_bytes()


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
