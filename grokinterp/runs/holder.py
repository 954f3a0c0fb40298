"""Whether a lock is held, found out without opening or locking anything.

`files.locked` takes a lock only for a moment when it is free, and so would whoever tries it: a process that
starts to train in that moment would be refused.
"""

import os
from pathlib import Path

KERNEL_LOCKS = Path("/proc/locks")
"""Linux lists all locks of this machine here."""


def is_held(path: Path) -> bool:
    """Whether a process on this machine holds the lock at `path`.

    Where the kernel has no list, whether the process lives that wrote its number into the lock. A lock that is
    held on another machine, on a shared file system, is not seen.
    """
    try:
        place = path.stat()
        owner = path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        lines = KERNEL_LOCKS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return _lives(owner)
    device = f"{os.major(place.st_dev):02x}:{os.minor(place.st_dev):02x}"
    for line in lines:
        # number: FLOCK ADVISORY WRITE pid major:minor:inode start end; one that is waited for has an arrow
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK":
            continue
        where, _, inode = fields[5].rpartition(":")
        # on some file systems the kernel's device is not the one that stat gives; the process tells then
        if inode == str(place.st_ino) and (where == device or fields[4] == owner):
            return True
    return False


def _lives(pid: str) -> bool:
    if not (pid.isascii() and pid.isdecimal()):
        return False
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
