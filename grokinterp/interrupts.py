"""Ctrl-C and SIGTERM, from the first moment of a command to its last.

While modules are imported an exception out of a signal handler can be lost or turned into another one, and nothing
is written yet: there the process ends at once. Afterwards the signal is a KeyboardInterrupt, which `exits` says in
one line; training has a handler of its own. Nothing heavy is imported here.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, NoReturn

STOPPED = 130
"""The exit status."""

SENTENCE = "stopped; run the same command again to go on (train: with --resume)"

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_raised: list[int] = []
"""The signals that became a KeyboardInterrupt."""


def heed_signals() -> None:
    """Let both signals stop this process; one that it was started to ignore (as by nohup) stays ignored."""
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _stop)
    signal.signal(signal.SIGALRM, _stop)
    sys.unraisablehook = _raise_again


def run(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its status; a signal that comes as it ends takes nothing back."""
    heed_signals()
    try:
        status = command()
    except KeyboardInterrupt:  # where the command could not say it itself
        leave()
    except Exception:
        if not _raised:
            raise
        leave()  # compiled code may turn a KeyboardInterrupt into an error of its own
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, lambda *_: os._exit(status))
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(status)


def leave() -> NoReturn:
    """Say it and end at once."""
    os.write(2, f"{SENTENCE}\n".encode())
    os._exit(STOPPED)


def _stop(signum: int, frame: FrameType | None) -> None:
    codes = list(_codes(frame))
    if any(code.co_filename.startswith("<frozen importlib") for code in codes):
        leave()
    if _raise_again.__code__ in codes:  # what is raised there is dropped too
        _come_again()
    else:
        _raised.append(signum)
        raise KeyboardInterrupt


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    """What is being run, from the innermost function outwards."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def _raise_again(unraisable: Any) -> None:
    """A KeyboardInterrupt that was raised where Python drops exceptions, such as in __del__, comes once more."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _come_again()
    else:
        sys.__unraisablehook__(unraisable)


def _come_again() -> None:
    """Let the signal come once more, when Python is out of here."""
    signal.setitimer(signal.ITIMER_REAL, 0.001)
