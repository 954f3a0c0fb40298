"""Finds measures: every module of this folder with a MEASURE constant, and files named by the user."""

import difflib
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

import grokinterp.measures
from grokinterp.errors import GrokinterpError
from grokinterp.measures.measure import Measure


@cache
def builtin_measures() -> dict[str, Measure]:
    """All measures of the package by name; a module's name is its measure's."""
    found = {}
    for info in sorted(pkgutil.iter_modules(grokinterp.measures.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"grokinterp.measures.{info.name}")
        measure = getattr(module, "MEASURE", None)
        if isinstance(measure, Measure):
            assert measure.name == info.name, f"{info.name}.py holds the measure {measure.name}"
            found[measure.name] = measure
    return found


def load_measure_file(path: Path) -> Measure:
    """The MEASURE constant of a user's Python file.

    Raises:
        GrokinterpError: no such file, it fails to import, or holds no MEASURE.
    """
    if not path.is_file():
        raise GrokinterpError(f"there is no measure file {path}; check the path")
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise GrokinterpError(f"{path} fails to import ({what}); fix it first") from None
    measure = getattr(module, "MEASURE", None)
    if not isinstance(measure, Measure):
        raise GrokinterpError(f"{path} has no MEASURE = Measure(...); see `grokinterp list`")
    return measure


def select(wanted: Iterable[str | Measure] | None) -> dict[str, Measure]:
    """The measures asked for, by name or as they are, in the given order; None: all of the package's
    that are not computed on request only.

    Raises:
        GrokinterpError: an unknown name, or a measure named like another one.
    """
    known = dict(builtin_measures())
    if wanted is None:
        return {name: measure for name, measure in known.items() if not measure.on_request}
    asked = list(wanted)
    for measure in asked:
        if isinstance(measure, Measure):
            if known.get(measure.name, measure) is not measure:
                raise GrokinterpError(f"there already is a measure {measure.name}; rename yours")
            names = (measure.name, *(part for part in measure.parts if part))
            odd = next((name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)), None)
            if odd is not None:
                raise GrokinterpError(f"{odd!r} cannot name a measure or its part; use letters, digits and _")
            known[measure.name] = measure
    chosen = {}
    for one in asked:
        name = one.name if isinstance(one, Measure) else one
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
            raise GrokinterpError(f"{name!r} is not a measure; {hint}")
        chosen[name] = known[name]
    return chosen
