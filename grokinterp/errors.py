"""The kinds of exception that a user sees as one sentence and never as a traceback."""

from typing import Any


class GrokinterpError(ValueError):
    """Bad input or a failed environment; the message is one sentence that names the fix."""


class InUseError(GrokinterpError):
    """Another process holds the lock."""


class ConfigError(GrokinterpError):
    """A config that does not validate.

    Attributes:
        problems: What is wrong with each field, as `grokinterp.explain.Problem`s.
    """

    def __init__(self, message: str, problems: tuple[Any, ...]) -> None:
        super().__init__(message)
        self.problems = problems


class NotApplicableError(ValueError):
    """A measure has no meaning for this task or model; the message says why in one sentence."""
