"""One offline HTML page a run: what happened, the landmarks, and every figure with its caption."""

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from grokinterp.figures import OVERVIEW, measured, plot, skipped
from grokinterp.measures.registry import builtin_measures
from grokinterp.run import Run
from grokinterp.runs.files import remove_abandoned, write_text
from grokinterp.summary import landmark_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
td, th {{ padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }}
img {{ max-width: 100%; background: #fff; }}
figcaption {{ font-size: 0.85rem; color: #555; }}
.wide {{ overflow-x: auto; }}
pre {{ overflow-x: auto; font-size: 0.75rem; background: #f5f5f5; padding: 1rem; color: #222; }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818; }}
  figcaption {{ color: #aaa; }} td, th {{ border-color: #444; }} }}
</style>
<h1>{title}</h1>
<p>{story}</p>
<div class="wide">{landmarks}</div>
{figures}
{skipped}
<h2>Config</h2>
<pre>{config}</pre>
</html>
"""


def report(run: Run) -> Path:
    """Write report.html from the run's tables and return its path; it needs no network.

    Raises:
        GrokinterpError: a damaged table.
    """
    name = run.config.name
    page = PAGE.format(
        title=html.escape(f"{name}: {run.config.task.operation}"),
        story=html.escape(story(run)),
        landmarks=_landmark_html(run),
        figures="\n".join(_figure_html(run, name) for name in (OVERVIEW, *measured(run))),
        skipped=_skipped_html(run),
        config=html.escape(run.config.to_toml()),
    )
    remove_abandoned(run.rundir.analysis_leftovers())
    write_text(run.rundir.report_path, page)
    return run.rundir.report_path


def story(run: Run) -> str:
    """What happened, in two or three sentences made from the events."""
    end = run.rundir.read_end()
    return _events(run) + (f" Training ended at step {end['step']}: {end['reason']}." if end else "")


def _events(run: Run) -> str:
    phases, last = run.phases, run.phases.last_step
    if not phases.follows_accuracy:
        known = sum(row.get("test_accuracy") is not None for row in phases.rows)
        small = phases.step("small_test_loss")
        fell = "" if small is None else f" Test loss fell below 0.01 at step {small}."
        return f"Test accuracy is known at {known} steps, too few to say when it rose.{fell}"
    if phases.memorization_step is None:
        first = f"Train accuracy did not reach 99 % within {last} steps."
    else:
        first = f"Train accuracy reached 99 % at step {phases.memorization_step}."
    if phases.generalization_step is None:
        return f"{first} Test accuracy did not within {last} steps (censored)."
    delay = phases.grokking_delay
    return f"{first} Test accuracy followed at step {phases.generalization_step}" + (
        f", {delay} steps later." if delay is not None else "."
    )


def _landmark_html(run: Run) -> str:
    marks = landmark_table(run, run.phases)
    rows = []
    for column in next(iter(marks.values()), {}):
        cells = "".join(f"<td>{_number(cells[column])}</td>" for cells in marks.values())
        rows.append(f"<tr><th>{html.escape(column)}</th>{cells}</tr>")
    head = "".join(f"<th>{html.escape(mark)}</th>" for mark in marks)
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _figure_html(run: Run, name: str) -> str:
    measure = builtin_measures().get(name)
    image = base64.b64encode(_png(plot(run, name))).decode("ascii")
    caption = html.escape(f"{measure.summary} {measure.reference}" if measure else "The run as a whole.")
    title = html.escape(name)
    return (
        f'<h2 id="{title}">{title}</h2><figure><img alt="{caption}" src="data:image/png;base64,{image}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _skipped_html(run: Run) -> str:
    """Measures without a meaning here, each with its reason."""
    reasons = skipped(run)
    rows = "".join(f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in reasons.items())
    return f"<h2>Not measured</h2><ul>{rows}</ul>" if rows else ""


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
