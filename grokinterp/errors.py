"""The two kinds of exception that a user sees as one sentence and never as a traceback."""


class GrokinterpError(ValueError):
    """Bad input or a failed environment; the message is one sentence that names the fix."""


class NotApplicableError(ValueError):
    """A measure has no meaning for this task or model; the message says why in one sentence."""
