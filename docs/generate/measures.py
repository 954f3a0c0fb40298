"""A page a measure, from the registry: what it is, its formulas, its tables, its figure, its command."""

import json
from pathlib import Path

from docs.generate.page import Pages, linked, plain, prose, table
from grokinterp.measures.measure import Column, Measure, Part
from grokinterp.measures.registry import builtin_measures

FOLDER = "reference/measures/"
EXAMPLE = Path("runs/docs")
"""The run whose figures the pages show; `make docs` makes it. Without it the pages have no figures."""

WHEN = {
    "all": "every checkpoint",
    "landmarks": "about ten checkpoints around the events (every one with `--full`)",
    "events": "the first and the last checkpoint and those of memorising and grokking (every one with `--full`)",
    "last": "the last checkpoint",
}
INDEX = """# Measures

Each measure turns checkpoints into tables and draws one figure from them. A table has one observation a row and its
columns declared here. A cell without meaning is null.

`grokinterp analyze RUN` computes all of them but those marked *on request*; `--only NAME,NAME` chooses. In Python:
`run.table("progress_measures")`, or `run.table("embedding_spectrum.keys")` for a further table of a measure.

"""


def pages(root: Path) -> Pages:
    """The index, each measure's page, and its figure where there is the example run."""
    figures = root / EXAMPLE / "figures"
    made: Pages = {f"{FOLDER}index.md": _index()}
    for name, measure in builtin_measures().items():
        picture = figures / f"{name}.png"
        if picture.exists():
            made[f"{FOLDER}figures/{name}.png"] = picture.read_bytes()
        made[f"{FOLDER}{name}.md"] = _page(measure, shown=picture.exists())
    return made


def _index() -> str:
    rows = [
        (f"[`{name}`]({name}.md)", plain(measure.summary), "on request" if measure.on_request else "")
        for name, measure in builtin_measures().items()
    ]
    return INDEX + table(("measure", "what it shows", ""), rows)


def _page(measure: Measure, *, shown: bool) -> str:
    text = [f"# {measure.name}\n\n{plain(measure.summary)}\n", _facts(measure)]
    drawn = plain(" ".join((measure.plot.__doc__ or "").split()))
    text.append(f"## Figure\n\n{_picture(measure) if shown else ''}{drawn}\n")
    text += [_part(measure, name, part) for name, part in measure.parts.items()]
    return "\n".join(text)


def _picture(measure: Measure) -> str:
    return (
        f"![{measure.name} of the preset quick](figures/{measure.name}.png)\n\n"
        "The run is the preset [`quick`](../presets.md#quick). "
    )


def _facts(measure: Measure) -> str:
    asked = ", only when it is named" if measure.on_request else ""
    rows = [
        ("command", f"`grokinterp analyze RUN --only {measure.name}`{asked}"),
        ("Python", f'`gi.analyze(run, measures=["{measure.name}"])`, `gi.plot(run, "{measure.name}")`'),
        ("tables", ", ".join(f"[`{name}`](#{_anchor(name)})" for name in measure.table_names())),
        ("key frequencies", "rows depend on them" if measure.uses_keys else "not used"),
        ("reference", plain(measure.reference)),
    ]
    if measure.params:
        rows.insert(3, ("parameters", f"`{json.dumps(dict(measure.params))}`"))
    if measure.series:
        rows.append(
            ("curves that are compared with test accuracy", f"{_series(measure)} ([how](../../explanation/phases.md))")
        )
    return "\n".join(f"- **{title}**: {text}" for title, text in rows) + "\n"


def _series(measure: Measure) -> str:
    return ", ".join(plain(series.label) for series in measure.series)


def _anchor(name: str) -> str:
    return name.replace(".", "-")


def _part(measure: Measure, name: str, part: Part) -> str:
    full = f"{measure.name}.{name}" if name else measure.name
    what = "the whole run" if part.scope == "run" else "one checkpoint at a time"
    return "\n\n".join(
        (
            f"## {full} {{: #{_anchor(full)} }}",
            prose(part.compute.__doc__ or ""),
            f"**Computed** from {what}, at {WHEN[part.steps]}.",
            _columns(part),
        )
    )


def _columns(part: Part) -> str:
    rows = [
        (f"`{name}`", linked(plain(column.meaning)), column.unit, _range(column), "yes" if column.null else "")
        for name, column in part.all_columns.items()
    ]
    return table(("column", "meaning", "unit", "values", "may be null"), rows)


def _range(column: Column) -> str:
    low, high = (None if limit is None else f"{limit:g}" for limit in (column.low, column.high))
    if low is not None and high is not None:
        return f"{column.kind}, {low} to {high}"
    if low is not None:
        return f"{column.kind}, ≥ {low}"
    return f"{column.kind}, ≤ {high}" if high is not None else column.kind
