"""What a measure is: a description, a compute function, a plot function.

Modules in this folder import torch and matplotlib inside those two functions only, so that listing
measures and redrawing figures need neither.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.tables import Tables

Row = dict[str, Any]
Kind = Literal["int", "float", "str", "bool"]


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        meaning: One sentence.
        unit: "nats", "steps", ...; empty for pure numbers and names.
        kind: int, float, str or bool.
        low, high: Range, inclusive; None where open.
        null: Whether a cell may be without meaning.
    """

    meaning: str
    unit: str = ""
    kind: Kind = "float"
    low: float | None = None
    high: float | None = None
    null: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a cell, or None."""
        if value is None:
            return None if self.null else "is null but declared never to be"
        kinds = {"int": int, "float": float, "str": str, "bool": bool}
        if type(value) is not kinds[self.kind]:
            return f"{value!r} is a {type(value).__name__}, declared {self.kind}"
        if self.kind == "float" and not math.isfinite(value):
            return f"{value} is not finite"
        slack = 1e-9
        if self.low is not None and value < self.low - slack:
            return f"{value} is below {self.low}"
        if self.high is not None and value > self.high + slack:
            return f"{value} is above {self.high}"
        return None


STEP = Column("optimizer steps since initialisation", "steps", "int", low=0)
"""The time axis, added to every table by `analyze`."""


@dataclass(frozen=True)
class Part:
    """One table of a measure.

    compute: `compute(snapshot, *, params) -> rows` for scope "snapshot", where `step` is added;
        `compute(run, *, steps, params) -> rows` for scope "run", whose rows carry their own `step`.
    steps: which checkpoints by default: all, landmarks (about ten, see `analyze`), events
        (init, memorised, grokked, end) or last.
    """

    columns: Mapping[str, Column]
    compute: Callable[..., list[Row]]
    scope: Literal["snapshot", "run"] = "snapshot"
    steps: Literal["all", "landmarks", "events", "last"] = "all"

    @property
    def all_columns(self) -> dict[str, Column]:
        """The declared columns after `step`."""
        return {"step": STEP, **self.columns}


@dataclass(frozen=True)
class Series:
    """A curve over steps that lead and lag compare with the test accuracy (`grokinterp.leads`).

    Attributes:
        label: Short, for tables and the overview figure.
        column: Of the part's table.
        part: Which table of the measure.
        where: The cells that pick one row a step.
        threshold: Value whose crossing is compared; None: the change point of the curve.
        unit: "log_answers" if the threshold is in units of log(number of answers).
        log: Whether the change point is looked for in the curve's logarithm.
    """

    label: str
    column: str
    part: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    unit: Literal["", "log_answers"] = ""
    log: bool = False


@dataclass(frozen=True)
class Measure:
    """A measure; the constant MEASURE of its module.

    Attributes:
        name: Of the file, the table, the figure and on the command line.
        summary: What it shows, in one sentence.
        reference: Papers and their symbols.
        parts: Tables by name; "" is the main one.
        plot: `plot(tables) -> Figure`; it never sees a model.
        params: Defaults of what `compute` takes in `params`.
        uses_keys: Whether rows depend on the run's key frequencies.
        series: Curves that lead and lag compare with the test accuracy.
        on_request: Costs too much to be computed unasked: only if it is named, and then at the
            checkpoints that its parts name.
    """

    name: str
    summary: str
    reference: str
    parts: Mapping[str, Part]
    plot: "Callable[[Tables], Figure]"
    params: Mapping[str, Any] = field(default_factory=dict)
    uses_keys: bool = False
    series: tuple[Series, ...] = ()
    on_request: bool = False

    def __repr__(self) -> str:
        return f"Measure({self.name!r}, {len(self.parts)} table{'s' if len(self.parts) > 1 else ''})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from grokinterp.displays import measure_html

        return measure_html(self)

    def table_names(self) -> list[str]:
        """As `run.table` takes them: name, name.part."""
        return [f"{self.name}.{part}" if part else self.name for part in self.parts]
