"""The formats, and which one a source is in."""

from types import ModuleType

from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.runs.importers import (
    chughtai,
    hooked_folder,
    nanda,
    openai_grok,
    pizza,
    stander,
    tl4_bridge,
    tl_demo,
)
from grokinterp.runs.importers.content import describe
from grokinterp.runs.importers.source import Source

IN_ORDER: tuple[ModuleType, ...] = (
    chughtai,
    openai_grok,
    pizza,
    stander,
    tl4_bridge,
    tl_demo,
    hooked_folder,
    nanda,  # after the pizza, whose layout is the same and which has a config beside it
)
FORMATS = {module.NAME: module for module in IN_ORDER}
"""By name, in the order in which they are asked: those that look for more come first."""


def find_format(source: Source, name: str | None = None) -> ModuleType:
    """The format of a source; the one called `name`, if it is that.

    Raises:
        GrokinterpError: no such format, or the source is in another one or in none.
    """
    if name is None:
        for module in IN_ORDER:
            if module.recognise(source):
                return module
        raise GrokinterpError(
            f"{source.path} is in no format that can be imported ({', '.join(FORMATS)}); it holds {describe(source)}"
        )
    if name not in FORMATS:
        raise GrokinterpError(f"{name!r} is not a format; {suggest(name, FORMATS)}")
    if not FORMATS[name].recognise(source):
        raise GrokinterpError(
            f"{source.path} is not in the format {name} ({FORMATS[name].SUMMARY}); it holds {describe(source)}"
        )
    return FORMATS[name]
