"""What memory the machine has left, and a refusal, before anything is allocated, of what needs more."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grokinterp.errors import GrokinterpError

HEADROOM = 256 * 2**20
"""Bytes kept free for what the estimates leave out."""

UNLIMITED = 2**60
"""Limits above this are none; cgroups write the largest number there is."""


@dataclass(frozen=True)
class Estimate:
    """Bytes by what they are for.

    Attributes:
        what: "training", "an analysis".
        parts: Bytes by name.
        lower: What of the config makes each part smaller.
    """

    what: str
    parts: Mapping[str, int]
    lower: Mapping[str, str]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def largest(self) -> str:
        """The part that takes most."""
        return max(self.parts, key=lambda name: self.parts[name])


def check(estimate: Estimate, available: int | None = None) -> None:
    """Refuse what does not fit.

    Args:
        estimate: What is needed.
        available: Bytes that there are; `available_bytes()` if not given.

    Raises:
        GrokinterpError: it needs more than there is, less HEADROOM; with the numbers, and what to lower.
    """
    available = available_bytes() if available is None else available
    if available is None or fits(estimate, available):
        return
    largest = estimate.largest
    raise GrokinterpError(
        f"{estimate.what} would need about {_gigabytes(estimate.total)} of memory, most of it for {largest} "
        f"({_gigabytes(estimate.parts[largest])}), but {_gigabytes(available)} are available; lower "
        f"{estimate.lower[largest]}"
    )


def fits(estimate: Estimate, available: int) -> bool:
    """Whether there is so much, and HEADROOM beside it."""
    return estimate.total <= available - HEADROOM


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that this process can still take; None where the system does not say.

    The least of what the kernel calls available, of what the control groups of this process leave (version 2 and 1;
    file caches that can be dropped do not count as used), and of the limit on its address space.

    Args:
        root: Where /proc and /sys are; for tests.
    """
    limits = [_of_kernel(root), *_of_control_groups(root), _of_address_space(root)]
    known = [limit for limit in limits if limit is not None and limit < UNLIMITED]
    if known:
        return max(0, min(known))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


# What the machine has ----------------------------------------------------------------------------


def _of_kernel(root: Path) -> int | None:
    found = _numbers(root / "proc/meminfo").get("MemAvailable:")
    return None if found is None else found * 1024


def _of_control_groups(root: Path) -> list[int]:
    """What the limits of the groups of this process, and of those above them, leave."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    left = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers not in ("", "memory"):
            continue
        base = root / ("sys/fs/cgroup" if not controllers else "sys/fs/cgroup/memory")
        names = ("memory.max", "memory.current") if not controllers else (f"memory.{x}_in_bytes" for x in _VERSION_1)
        limit_name, used_name = names
        inside = base / group.strip("/")
        for folder in (inside, *inside.parents):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None:
                left.append(limit - used + _numbers(folder / "memory.stat").get("inactive_file", 0))
            if folder == base:
                break
    return left


_VERSION_1 = ("limit", "usage")


def _of_address_space(root: Path) -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _numbers(root / "proc/self/status").get("VmSize:", 0) * 1024
    return None if limit == resource.RLIM_INFINITY else limit - used


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # also "max"
        return None


def _numbers(path: Path) -> dict[str, int]:
    """The second word of each line, where it is a whole number, by the first."""
    try:
        words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}
