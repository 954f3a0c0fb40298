"""What the command line says when it cannot do what was asked: one sentence, never a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

import cyclopts
from pydantic import ValidationError
from rich.console import Console

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.explain import explain


def exit_status(command: Callable[[], Any]) -> int:
    """Run a command: its status, 2 for bad input, 130 if it was stopped."""
    from grokinterp.training.stop import Interrupted

    try:
        return int(command() or 0)
    except cyclopts.ValidationError as error:
        return refuse(validation_sentence(error))
    except cyclopts.CycloptsError as error:
        sentence = " ".join(str(error).split())
        return refuse(sentence if "Did you mean" in sentence else f"{sentence} See `grokinterp --help`.")
    except GrokinterpError as error:
        return refuse(str(error))
    except Interrupted as stop:
        say(f"stopped at step {stop.step}; the same command with --resume goes on from there")
        return 130
    except KeyboardInterrupt:
        say("stopped; run the same command again to go on")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return refuse("there is not enough memory for this; try a smaller p, or --every")
    except OSError as error:
        return refuse(os_sentence(error))
    except RuntimeError as error:  # how torch says that memory ran out
        if "memory" not in str(error):
            raise
        return refuse("there is not enough memory for this; try a smaller p or model")


def say(sentence: str) -> None:
    """One line on standard error."""
    Console(stderr=True).print(sentence, soft_wrap=True, highlight=False, markup=False)


def refuse(sentence: str) -> int:
    """Say what is wrong; the exit status of bad input."""
    say(f"grokinterp: {sentence}")
    return 2


def validation_sentence(error: cyclopts.ValidationError) -> str:
    """A flag's value that does not validate."""
    cause = error.__cause__
    where = error.argument.name if error.argument is not None else "the command line"
    if isinstance(cause, ValidationError):
        return f"{where}: {explain(cause, RunConfig)}"
    return f"{where}: {' '.join(str(error).split())}"


def os_sentence(error: OSError) -> str:
    """A full or read-only disk, and what else the system refuses."""
    place = f" at {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{place}; free some space, then run the same command again (train: --resume)"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return f"cannot write{place} (read-only); choose another place with --out"
        case errno.ENOTDIR | errno.EEXIST:
            return f"cannot make a folder{place}: a file is in the way; choose another --out"
    return f"{error.strerror or error}{place}"
