"""A clean stop: Ctrl-C and SIGTERM are noticed between two steps, never inside one."""

import contextlib
import signal
import threading
from collections.abc import Generator
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - not an error
    """Training stopped between two steps because it was asked to."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped at step {step}; train again into the same folder to go on from there")
        self.step = step


class StopRequest:
    """True once somebody asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def __bool__(self) -> bool:
        return self.requested


@contextlib.contextmanager
def stop_on_signal() -> Generator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request; a second one acts at once.

    Outside the main thread signals cannot be caught, and the request stays false.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before: dict[signal.Signals, object] = {}

    def ask(signum: int, _frame: FrameType | None) -> None:
        request.requested = True
        signal.signal(signum, before[signal.Signals(signum)])  # ty: ignore[invalid-argument-type]

    for signum in (signal.SIGINT, signal.SIGTERM):
        before[signum] = signal.signal(signum, ask)
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)  # ty: ignore[invalid-argument-type]
