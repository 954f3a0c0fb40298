"""The sections of a config: what a file says, and what the user laid down, which wins and is held against it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grokinterp.config import RunConfig, without_other_operands
from grokinterp.errors import ConfigError, GrokinterpError
from grokinterp.explain import Problem

WHAT_IS_LEARNED = ("operation", "p", "group", "file", "table")
"""Fields of the task that say which elements there are, and what is computed of them."""

Sections = Mapping[str, Any]


def section_of(given: Sections, name: str) -> Mapping[str, Any]:
    """A given section; empty where there is none (and where it is no section, which the config refuses)."""
    found = given.get(name)
    return found if isinstance(found, Mapping) else {}


def laid_over(base: Sections, change: Sections) -> dict[str, Any]:
    """Sections with others laid over them, field by field."""
    merged = dict(base)
    for section, fields in change.items():
        below = merged.get(section)
        both = isinstance(below, Mapping) and isinstance(fields, Mapping)
        merged[section] = {**below, **fields} if both else fields
    return merged


def config_of(inferred: Sections, given: Sections, source: str | Path) -> RunConfig:
    """The inferred sections with those that the user laid down over them.

    Args:
        source: Where the inferred ones come from, for the sentence that refuses them.

    Raises:
        GrokinterpError: together they are no config; says why.
    """
    kind, asked = (section_of(sections, "model").get("kind") for sections in (inferred, given))
    if None not in (kind, asked) and kind != asked:
        raise GrokinterpError(f"{source} holds a network of kind {kind}, not {asked}; leave out --model.kind")
    task = without_other_operands(section_of(inferred, "task"), section_of(given, "task"))
    try:
        return RunConfig.from_mapping(laid_over({**inferred, "task": task}, given), source=str(source))
    except ConfigError as error:
        raise ConfigError(str(error), tuple(_attributed(one, given, source) for one in error.problems)) from None


def _attributed(problem: Problem, given: Sections, source: str | Path) -> Problem:
    """What is wrong, put down to the user's flag where there is one, else to the file; of several fields to neither."""
    section, _, name = problem.name.partition(".")
    if not problem.name or name.partition(".")[0] in section_of(given, section):
        return replace(problem, given=True)
    return replace(problem, file=Path(source))


def names_the_operation(given: Sections) -> bool:
    """Whether the sections that the user laid down say what was learned; who gives one such field means all."""
    return any(section_of(given, "task").get(name) is not None for name in WHAT_IS_LEARNED)


def said_of(
    inferred: Sections, fields: Mapping[str, Mapping[str, str]], settings: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The inferred sections as far as a file's own settings say them: no defaults, nothing from shapes.

    Args:
        fields: By section and field, the name of the setting that says it.
        settings: The names that the file has.
    """
    return {
        section: {
            ours: inferred[section][ours]
            for ours, theirs in names.items()
            if theirs in settings and ours in inferred[section]
        }
        for section, names in fields.items()
    }


def overruled(said: Sections, given: Sections, config: RunConfig) -> list[str]:
    """A note for each field that the user gave and of which the file says something else.

    Args:
        said: Sections as far as the file itself has them, in our values.
        config: What came of both; in it the given values are checked and under their own names.
    """
    notes = []
    for section in sorted(set(said) & set(given)):
        for name in sorted(set(section_of(said, section)) & set(section_of(given, section))):
            theirs, taken = _plain(said[section][name]), _plain(getattr(getattr(config, section), name, None))
            if theirs != taken:
                notes.append(f"{section}.{name} is {taken} as given and {str(theirs)[:60]} by the file")
    return notes


def _plain(value: Any) -> Any:
    """A tuple as the list that JSON has in its place."""
    return list(value) if isinstance(value, tuple) else value
