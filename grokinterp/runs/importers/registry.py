"""Finds formats: every module of this folder that can recognise and read one."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import grokinterp.runs.importers
from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.runs.importers.content import describe
from grokinterp.runs.importers.source import Source


@cache
def formats() -> dict[str, ModuleType]:
    """The formats by name in the order in which they are asked: specific ones first, then those with FALLBACK."""
    folder = grokinterp.runs.importers
    names = sorted(info.name for info in pkgutil.iter_modules(folder.__path__))
    modules = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
    needed = ("NAME", "SUMMARY", "recognise", "read")
    found = [module for module in modules if all(hasattr(module, name) for name in needed)]
    return {module.NAME: module for module in sorted(found, key=lambda m: getattr(m, "FALLBACK", False))}


def find_format(source: Source, name: str | None = None) -> ModuleType:
    """The format of a source; the one called `name`, if it is that.

    Raises:
        GrokinterpError: no such format, or the source is in another one or in none.
    """
    known = formats()
    if name is None:
        for module in known.values():
            if module.recognise(source):
                return module
        raise GrokinterpError(
            f"{source.path} is in no format that can be imported ({', '.join(known)}); it holds {describe(source)}"
        )
    if name not in known:
        raise GrokinterpError(f"{name!r} is not a format; {suggest(name, known)}")
    if not known[name].recognise(source):
        raise GrokinterpError(
            f"{source.path} is not in the format {name} ({known[name].SUMMARY}); it holds {describe(source)}"
        )
    return known[name]


def is_recognised(source: Source) -> bool:
    """Whether some format reads this source."""
    return any(module.recognise(source) for module in formats().values())
