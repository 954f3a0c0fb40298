"""What the terminal shows of a run and of the measures."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grokinterp.figures import saved_keys, skipped
from grokinterp.measures.registry import builtin_measures
from grokinterp.phases import Phases
from grokinterp.reports import story
from grokinterp.run import Run
from grokinterp.summary import landmark_table

LABELS = {
    "step": "step",
    "test_accuracy": "test accuracy",
    "full_loss": "loss, all pairs (nats)",
    "restricted_loss": "restricted loss, all pairs (nats)",
    "excluded_loss": "excluded loss, train pairs (nats)",
    "gini_W_L": "Gini of W_L",
    "weight_norm": "sum of squared weights",
    "noise_loss_increase": "flatness: 10 % noise adds (nats)",
    "keskar_phi": "flatness: Keskar's phi",
}


WHERE = {
    "all": "every checkpoint",
    "landmarks": "the events and six evenly spaced checkpoints",
    "events": "init, memorised, grokked and end",
    "last": "the last checkpoint",
}


def print_summary(run: Run, console: Console) -> None:
    """Story, phases, key frequencies and the landmark table; parts not computed are left out."""
    phases = run.phases
    console.print(f"\n[bold]{escape(run.config.name)}[/bold]: {escape(run.config.task.operation)}", highlight=False)
    console.print(story(run), highlight=False, soft_wrap=True)
    if phases.phases:
        console.print(_phase_table(phases))
    keys = saved_keys(run)
    if keys:
        text = ", ".join(map(str, keys))
        console.print(f"key frequencies (W_L rule, last checkpoint): {text}", highlight=False)
    marks = landmark_table(run, phases)
    if marks:
        console.print(_landmarks(marks))
    leads = run.leads
    if leads["step"].notna().any():
        console.print(_leads(leads))
    for name, why in skipped(run).items():
        console.print(f"no {name}: {escape(why)}", style="dim", highlight=False, soft_wrap=True)
    if run.rundir.figures.is_dir():
        console.print("figures:", highlight=False)
        for path in sorted(run.rundir.figures.iterdir()):
            if not path.name.startswith("."):
                console.print(f"  {path}", soft_wrap=True, highlight=False, markup=False)


def print_measures(console: Console) -> None:
    """Every measure with its tables and columns."""
    for name, measure in builtin_measures().items():
        console.print(f"[bold]{name}[/bold]  {escape(measure.summary)}", highlight=False)
        console.print(f"  {escape(measure.reference)}", style="dim", highlight=False)
        if measure.on_request:
            console.print(f"  on request: --only {name}", highlight=False)
        for table_name, part in zip(measure.table_names(), measure.parts.values(), strict=True):
            where = "once a run" if part.scope == "run" else WHERE[part.steps]
            console.print(f"  table {table_name} ({where})", highlight=False)
            for column, about in part.all_columns.items():
                unit = f" ({about.unit})" if about.unit else ""
                console.print(f"    {column}{unit}: {escape(about.meaning)}", highlight=False, soft_wrap=True)


def _phase_table(phases: Phases) -> Table:
    table = Table("phase", "from step", "to step", box=None, pad_edge=False)
    for phase in phases.phases:
        table.add_row(phase.name, str(phase.start), str(phase.end))
    return table


def _leads(leads: Any) -> Table:
    """When each curve moved, and how many steps that is before test accuracy 0.5."""
    table = Table("what moved when", "in steps", "before test accuracy 0.5", box=None, pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    moved = leads[leads["step"].notna()].sort_values("step", kind="stable")
    for row in moved.to_dict("records"):
        lead, low, high = (row[f"lead_half_accuracy{end}"] for end in ("", "_low", "_high"))
        before = "-" if lead != lead or lead is None else f"{lead:+.0f} ({low:+.0f}..{high:+.0f})"
        after, until = int(row["after"]), int(row["until"])
        table.add_row(escape(row["label"]), f"{after}..{until}", before)
    return table


def _landmarks(marks: dict[str, dict[str, Any]]) -> Table:
    table = Table("", *marks, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, label in LABELS.items():
        values = [cells[name] for cells in marks.values()]
        if any(value is not None for value in values):
            table.add_row(label, *(_cell(value) for value in values))
    return table


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
