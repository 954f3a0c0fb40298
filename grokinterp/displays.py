"""How runs, snapshots, measures and what an analysis did show themselves in a notebook: small tables in HTML.

Colours are those of the page around (`inherit`) or half transparent, so that light and dark themes both work. Whatever
comes from a file or a config is escaped here, at the one place where a tag is opened. No torch here.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from grokinterp.errors import GrokinterpError, NotApplicableError
from grokinterp.runs.files import read_json

if TYPE_CHECKING:
    from grokinterp.config import RunConfig
    from grokinterp.measures.measure import Measure
    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot

CURVES = {"train": "#2a86c8", "test": "#D55E00"}
"""As in the figures, the blue a little lighter: it is also seen on black."""

POINTS = 200
"""So many points of a curve are drawn."""

MAX_LOGITS = 2**22
"""A snapshot with more logits is not run for its display alone."""

_WIDTH, _HEIGHT = 600, 90
_LINE = "border:0;border-top:1px solid rgba(128,128,128,.3);padding:.2em .8em .2em 0;vertical-align:top;"
_CELL = f"{_LINE}text-align:left;white-space:normal;background:transparent;color:inherit;"
_BOX = "border:1px solid rgba(128,128,128,.4);border-radius:4px;padding:.5em .8em;max-width:44em;color:inherit;"

Cells = Sequence[Sequence[object]]


def card(title: str, kind: str, facts: Mapping[str, object], *, picture: str = "", cells: Cells = ()) -> str:
    """A titled box: names and values, a picture, a table.

    Args:
        title: What is shown.
        kind: What sort of thing that is, in a few words.
        facts: Name: value; values of None and "" are left out.
        picture: HTML from `accuracy_curves`.
        cells: Rows of a table, the first one its head.
    """
    head = f"<div><strong>{escape(title)}</strong> <span style='opacity:.7'>{escape(kind)}</span></div>"
    rows = [(name, value) for name, value in facts.items() if value not in (None, "")]
    return f"<div style='{_BOX}'>{head}{picture}{_table(rows, head=False)}{_table(cells, head=True)}</div>"


def _table(rows: Cells, *, head: bool) -> str:
    """Rows of cells; names in the first column are fainter, and the first row is bold if it is a head."""
    if not rows:
        return ""
    lines = []
    for i, row in enumerate(rows):
        weight = "font-weight:bold;" if head and i == 0 else "font-weight:normal;"
        inner = (f"<td style='{_CELL}{weight}{_faint(j, head)}'>{escape(str(x))}</td>" for j, x in enumerate(row))
        lines.append(f"<tr style='background:transparent'>{''.join(inner)}</tr>")
    style = "border-collapse:collapse;margin:.4em 0 0 0;border:0;color:inherit;"
    return f"<table style='{style}'><tbody>{''.join(lines)}</tbody></table>"


def _faint(column: int, head: bool) -> str:
    return "opacity:.7;white-space:nowrap;" if column == 0 and not head else ""


def accuracy_curves(rows: Sequence[Mapping[str, Any]], events: Mapping[str, int | None]) -> str:
    """Train and test accuracy over steps as an inline SVG, with a dashed line at each event; "" without accuracy.

    The words stand below it as HTML: a page that strips the SVG leaves no loose labels.
    """
    curves = {split: _points(rows, f"{split}_accuracy") for split in CURVES}
    curves = {split: points for split, points in curves.items() if len(points) > 1}
    last = max((points[-1][0] for points in curves.values()), default=0)
    if not last:
        return ""
    known = {name: step for name, step in events.items() if step is not None}
    place = "vector-effect='non-scaling-stroke' fill='none'"
    lines = [f"<path d='M0 0H{_WIDTH}M0 {_HEIGHT}H{_WIDTH}' stroke='currentColor' opacity='.35' {place}/>"]
    lines += [
        f"<path d='M{_WIDTH * step / last:.1f} 0V{_HEIGHT}' stroke='currentColor' opacity='.6' "
        f"stroke-dasharray='3 3' {place}/>"
        for step in known.values()
    ]
    for split, points in curves.items():
        path = " ".join(f"{_WIDTH * step / last:.1f},{_HEIGHT * (1 - y):.1f}" for step, y in points)
        lines.append(f"<polyline points='{path}' stroke='{CURVES[split]}' stroke-width='1.8' {place}/>")
    said = f"accuracy from 0 to 1 over steps 0 to {last:,}"
    svg = (
        f"<svg viewBox='-2 -4 {_WIDTH + 4} {_HEIGHT + 8}' preserveAspectRatio='none' role='img' aria-label='{said}' "
        f"style='width:100%;height:90px;display:block;margin:.4em 0 .1em 0'>{''.join(lines)}</svg>"
    )
    keys = [f"<span style='color:{CURVES[split]}'>&#9632;</span> {split}" for split in curves]
    dashed = [f"dashed: {' and '.join(known)}"] if known else []
    return f"{svg}<div style='opacity:.85;font-size:90%'>{'; '.join([' '.join(keys), said, *dashed])}</div>"


def _points(rows: Sequence[Mapping[str, Any]], column: str) -> list[tuple[int, float]]:
    """At most POINTS of the curve, the last one among them."""
    known = [(row["step"], min(max(float(row[column]), 0.0), 1.0)) for row in rows if row.get(column) is not None]
    every = -(-len(known) // POINTS) or 1
    thin = known[::every]
    return thin if not known or thin[-1] == known[-1] else [*thin, known[-1]]


def config_line(config: "RunConfig", *, imported: bool = False) -> str:
    """Task, network and training in one line; of an imported run no more than its files can say for certain."""
    if imported:
        return f"{_operation(config)}, {config.task.n_pairs:,} pairs; {_network(config)}; trained elsewhere"
    return "; ".join((_task(config), _network(config), _training(config)))


def _operation(config: "RunConfig") -> str:
    task = config.task
    where = f" in {task.group}" if task.group else f" mod {task.p}" if task.operation != "custom" else ""
    return f"{task.operation}{where}"


def _task(config: "RunConfig") -> str:
    task = config.task
    labels = ", shuffled labels" if task.shuffle_labels else f", {task.outliers} outliers" if task.outliers else ""
    return f"{_operation(config)}, {100 * task.frac_train:g} % of {task.n_pairs:,} pairs{labels}"


def _network(config: "RunConfig") -> str:
    model = config.model
    layers = _layers(model.kind, model.n_layers)
    if model.kind == "transformer":
        return f"{layers}, width {model.d_model}, {model.n_heads} heads, {model.mlp_width} neurons"
    return f"{layers}, width {model.d_hidden}"


def _layers(kind: str, n: int) -> str:
    return f"{kind} of {n} layer{'s' if n > 1 else ''}"


def _training(config: "RunConfig") -> str:
    how, train = config.optimizer, config.train
    batch = "full batch" if train.batch_size in (None, "full") else f"batches of {train.batch_size}"
    decay = f", weight decay {how.weight_decay:g}" if how.weight_decay else ""
    return f"{how.name}, lr {how.lr:g}{decay}, {batch}"


def run_html(run: "Run") -> str:
    """A run: its config in a line, the accuracy curves, events, phases, checkpoints and what was measured.

    What cannot be read is said in its place; nothing is raised but for the config.
    """
    picture, facts = "", {"config": config_line(run.config, imported=_is_imported(run))}
    try:
        phases = run.phases
        picture = accuracy_curves(
            phases.rows, {"memorised": phases.memorization_step, "generalised": phases.generalization_step}
        )
        facts["memorised"] = _reached(phases.memorization_step, "train", phases.last_step)
        facts["generalised"] = _reached(phases.generalization_step, "test", phases.last_step)
        facts["phases"] = ", ".join(f"{one.name} {one.start:,} to {one.end:,}" for one in phases.phases)
        if not phases.follows_accuracy:
            facts["memorised"] = facts["generalised"] = ""
    except GrokinterpError as error:
        facts["phases"] = str(error)
    facts["checkpoints"] = _checkpoints(run)
    facts["key frequencies"] = _saved_keys(run)
    facts["measured"] = ", ".join(run.rundir.measured()) or "nothing yet; gi.analyze(run)"
    return card(run.config.name, f"run in {run.path}", facts, picture=picture)


def _is_imported(run: "Run") -> bool:
    """Whether the config was guessed from somebody else's files."""
    try:
        return "source" in run.rundir.read_provenance()
    except GrokinterpError:
        return False


def _reached(step: int | None, split: str, last: int) -> str:
    """When an accuracy passed 99 %, or that it has not."""
    if step is None:
        return f"not by step {last:,}" if last else ""
    return f"{split} accuracy 99 % from step {step:,} on"


def _checkpoints(run: "Run") -> str:
    steps = run.steps
    return f"{len(steps)}, steps {steps[0]:,} to {steps[-1]:,}" if steps else "none"


def _saved_keys(run: "Run") -> str:
    """As the last analysis found them."""
    try:
        keys = read_json(run.rundir.summary_path).get("key_frequencies")
    except GrokinterpError:
        return ""
    return ", ".join(map(str, keys)) if isinstance(keys, list) else ""


def snapshot_html(snapshot: "Snapshot") -> str:
    """A snapshot: its operation, weights, key frequencies, and loss and accuracy where that costs little."""
    n_weights = sum(value.numel() for value in snapshot.weights.values())
    facts: dict[str, object] = {
        "network": f"{_layers(snapshot.architecture, snapshot.n_layers)}, {n_weights:,} weights",
        "basis": snapshot.task.structure,
    }
    try:
        facts["key frequencies"] = ", ".join(map(str, snapshot.keys.ks)) if snapshot.task.coordinates else ""
    except NotApplicableError as error:
        facts["key frequencies"] = f"none: {error}"
    cells: Cells = ()
    if snapshot.task.table.size * snapshot.task.n_answers <= MAX_LOGITS:
        cells = [("pairs", "number", "accuracy", "loss (nats)"), *_scores(snapshot)]
    return card(snapshot.task.name, f"snapshot at step {snapshot.step:,}", facts, cells=cells)


def _scores(snapshot: "Snapshot") -> Iterable[tuple[str, str, str, str]]:
    """A row for each of train, test and all pairs that there are, by the right answers."""
    logits, labels = snapshot.logits, snapshot.labels
    loss = -logits.log_softmax(dim=-1).gather(-1, labels[..., None])[..., 0]
    hit = (logits.argmax(dim=-1) == labels).double()
    defined, train = snapshot.task.defined, snapshot.train_mask
    splits = {} if train is None else {"train": defined & train, "test": defined & ~train}
    for name, mask in {**splits, "all": defined}.items():
        if n := int(mask.sum()):
            weights = loss.new_tensor(mask)
            yield (
                name,
                f"{n:,}",
                *(f"{float((x * weights).sum() / n):{form}}" for x, form in ((hit, ".4f"), (loss, ".3g"))),
            )


def outcome_html(counts: Mapping[str, tuple[int, int]], reasons: Mapping[str, str]) -> str:
    """What an analysis did: (computed, kept) by measure, a checkpoint counted once a table; and what went wrong."""
    rows: list[Sequence[object]] = [("measure", "tables of checkpoints computed", "kept")]
    rows += [(name, computed, kept) for name, (computed, kept) in counts.items()]
    return card(
        "analysis", f"{len(counts)} measure{'' if len(counts) == 1 else 's'}", reasons, cells=rows if counts else ()
    )


def measure_html(measure: "Measure") -> str:
    """A measure: what it shows, and the columns of its tables."""
    rows: list[Sequence[object]] = [("table", "column", "meaning", "unit")]
    for table, part in zip(measure.table_names(), measure.parts.values(), strict=True):
        rows += [(table, name, column.meaning, column.unit) for name, column in part.columns.items()]
    facts = {"shows": measure.summary, "reference": measure.reference}
    return card(measure.name, "measure", facts, cells=rows)
