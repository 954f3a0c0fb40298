"""What the command line says when it cannot do what was asked: one sentence, never a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cyclopts
from pydantic import ValidationError
from rich.console import Console

from grokinterp.config import KINDS, RunConfig
from grokinterp.errors import ConfigError, GrokinterpError
from grokinterp.explain import one_line, problems
from grokinterp.interrupts import SENTENCE, STOPPED


def exit_status(command: Callable[[], Any]) -> int:
    """Run a command: its status, 2 for bad input, 130 if it was stopped."""
    from grokinterp.training.stop import Interrupted

    try:
        return int(command() or 0)
    except cyclopts.ValidationError as error:
        return refuse(validation_sentence(error))
    except cyclopts.CycloptsError as error:
        return refuse(cyclopts_sentence(error))
    except ConfigError as error:
        return refuse(config_sentence(error))
    except GrokinterpError as error:
        return refuse(str(error))
    except Interrupted as stop:
        say(f"stopped at step {stop.step}; the same command with --resume goes on from there")
        return STOPPED
    except KeyboardInterrupt:
        say(SENTENCE)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return refuse("there is not enough memory for this; try a smaller p, or --every")
    except OSError as error:
        return refuse(os_sentence(error))
    except ValueError as error:  # how Python says that a path can't be one
        if "null byte" not in str(error):
            raise
        return refuse("a path holds a null character; write it without")
    except RuntimeError as error:  # how torch says that memory ran out
        if "memory" not in str(error):
            raise
        return refuse("there is not enough memory for this; try a smaller p or model")


def say(sentence: str) -> None:
    """One line on standard error."""
    Console(stderr=True).print(one_line(sentence), soft_wrap=True, highlight=False, markup=False)


def refuse(sentence: str) -> int:
    """Say what is wrong; the exit status of bad input."""
    say(f"grokinterp: {sentence}")
    return 2


def validation_sentence(error: cyclopts.ValidationError) -> str:
    """A flag's value that does not validate."""
    cause = error.__cause__
    where = error.argument.name if error.argument is not None else "the command line"
    if not isinstance(cause, ValidationError):
        return f"{where}: {' '.join(str(error).split())}"
    section = where.removeprefix("--")
    found = (replace(problem, name=f"{section}.{problem.name}") for problem in problems(cause, RunConfig))
    return "; ".join(problem.flag_sentence() for problem in found)


def cyclopts_sentence(error: cyclopts.CycloptsError) -> str:
    """A command line that can't be read: flags, commands and numbers that are none."""
    match error:
        case cyclopts.UnusedCliTokensError(unused_tokens=[first, *_]):
            return f"{first!r} is one word too many; see `grokinterp --help`"
        case cyclopts.CoercionError(token=cyclopts.Token() as token) if isinstance(error.__cause__, ValueError):
            return f"{token.keyword} {token.value!r} is not a whole number; give one, such as 2"
        case cyclopts.UnknownOptionError(token=cyclopts.Token(keyword=str(flag))) if "." not in flag:
            fields = _fields_called(flag) if "train" in (error.command_chain or ()) else []
            if fields:
                return f"{flag} is not a flag; did you mean {' or '.join(fields)}?"
    sentence = " ".join(str(error).split())
    return sentence if "Did you mean" in sentence else f"{sentence} See `grokinterp --help`."


def _fields_called(flag: str) -> list[str]:
    """The flags of the config's fields that are called like a flag without a section: --lr -> --optimizer.lr."""
    name, sections = flag.lstrip("-").replace("-", "_"), {**RunConfig.model_fields}
    classes = {section: [field.annotation] for section, field in sections.items()} | {"model": list(KINDS.values())}
    return [
        f"--{section}.{flag.lstrip('-')}"
        for section, found in classes.items()
        if any(name in getattr(one, "model_fields", {}) for one in found)
    ]


def config_sentence(error: ConfigError) -> str:
    """What is wrong with a config: by its flag where it was given by one, else by its file."""
    if not any(problem.given or problem.file for problem in error.problems):
        return str(error)
    said = (p.flag_sentence() if p.given else f"{p.file}: {p.sentence()}" for p in error.problems)
    return "; ".join(said)


def os_sentence(error: OSError) -> str:
    """A full or read-only disk, and what else the system refuses."""
    place = f" at {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{place}; free some space, then run the same command again (train: --resume)"
        case errno.EROFS:
            return f"cannot write{place} (read-only); make it writable, or choose another place with --out"
        case errno.EACCES | errno.EPERM:
            return (
                f"there is no permission to read or write{place}; change the permissions, or write elsewhere with --out"
            )
        case errno.EIO:
            return (
                f"the disk reports an error{place}; check the disk, then run the same command again (train: --resume)"
            )
        case errno.ENOTDIR | errno.EEXIST:
            return f"cannot make a folder{place}: a file is in the way; choose another --out"
        case errno.EFBIG:
            return f"a file grew too large for this place{place}; choose another place with --out"
        case errno.ENAMETOOLONG:
            return f"the name of a file or folder is too long{place}; choose a shorter one"
        case errno.ELOOP:
            return f"there is a circle of symbolic links{place}; check the path"
        case errno.ENOENT:
            return f"there is nothing{place}; check the path"
    return f"{error.strerror or error}{place}; check the path"
