"""How words of the command line are read, beyond what cyclopts does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from cyclopts import App, ArgumentCollection, Token

from grokinterp.errors import GrokinterpError


def whole(_type: Any, tokens: Sequence[Token]) -> int:
    """A whole number; cyclopts alone would round 1.5."""
    return int(tokens[0].value)


def refuse_empty_paths(_app: App, _commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """An empty path would be the current folder, as of a variable of the shell that is not set.

    Raises:
        GrokinterpError: as said, with the name of the argument.
    """
    for argument in arguments:
        if Path in (argument.hint, *get_args(argument.hint)) and any(not token.value for token in argument.tokens):
            raise GrokinterpError(f"{argument.name} is empty; write a path, or . for the current folder")
