"""A look at a run as lines of text: a full view as wide as the terminal, or one line for a log."""

import math
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from grokinterp.explain import one_line
from grokinterp.watch.look import Look
from grokinterp.watch.sparkline import Point, bars, columns

TRAIN, TEST, FAINT = "#0072B2", "#D55E00", "dim"
"""Train and test have their colours of the figures."""

LABELS = 22
"""Width of the labels and numbers on the left."""

NARROWEST = LABELS + 10
"""A terminal that is narrower has no room for curves."""

MOST_KEYS = 12
"""More key frequencies than that are counted: they do not stand out."""

TALL, LINES_IF_TALL = 3, 24
"""Lines of each curve, on a terminal that has so many."""


def run_view(look: Look, width: int, *, lines: int = LINES_IF_TALL, ascii_only: bool = False) -> Text:
    """The whole view, no line of it wider than `width`."""
    height = TALL if lines >= LINES_IF_TALL else 1
    parts = [_fit(Text(f"{look.path}: {_operation(look)}", style="bold"), width), *_wrapped(_standing(look), width)]
    parts += _wrapped(events(look), width)
    if look.phases.rows and width >= NARROWEST:
        parts += [Text(), *_curves(look, width, height, ascii_only=ascii_only)]
    parts += [line for text in _facts(look) for line in _wrapped(text, width)]
    return Text("\n").join(parts)


def one_liner(look: Look) -> str:
    """Step, last values, events, speed: for a log or a pipe."""
    parts = [f"step {_progress(look)}"]
    for split in ("train", "test"):
        loss, accuracy = look.last(f"{split}_loss"), look.last(f"{split}_accuracy")
        parts.append(f"{split} loss {_loss(loss)}, accuracy {_accuracy(accuracy)}")
    return "; ".join([*parts, events(look), *_pace(look)])


def standing(look: Look) -> str:
    """One sentence: is it trained, or why not any more."""
    where = f"at step {_progress(look)}" if look.step is not None else "before its first line"
    match look.state:
        case "training":
            return f"training, step {_progress(look)}"
        case "finished":
            return f"finished at step {look.step:,}" + (f": {look.why}" if look.why else "")
        case "stopped":
            return f"stopped {where}; the same command with --resume goes on"
        case "killed":
            return (
                f"not trained any more on this machine: killed or failed {where}; "
                "the same command with --resume goes on"
            )
        case "recorded":
            return f"recorded; the recording ended {where}"
    return f"imported; the last line is {where}"


def events(look: Look) -> str:
    """When it memorised and grokked, so far."""
    memorised, grokked = look.phases.memorization_step, look.phases.generalization_step
    if not look.phases.rows:
        return "no line of metrics yet"
    first = "not memorised yet" if memorised is None else f"memorised at step {memorised:,}"
    then = "not grokked yet" if grokked is None else f"grokked at step {grokked:,}"
    return f"{first}, {then}"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> [duration(s) for s in (0.4, 65, 7380, 200_000)]
    ['1 s', '1 min 05 s', '2 h 03 min', '2 d 7 h']
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    return (
        f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 2880 else f"{minutes // 1440} d {minutes // 60 % 24} h"
    )


def _operation(look: Look) -> str:
    task = look.config.task
    where = f" in {task.group}" if task.group else f" mod {task.p}" if task.p else ""
    return f"{task.operation}{where}, {task.frac_train:.4g} of the pairs, {look.config.model.kind}"


def _standing(look: Look) -> str:
    return ", ".join([standing(look), *_pace(look)])


def _progress(look: Look) -> str:
    return f"{look.step or 0:,}" + (f" of {look.total:,}" if look.total is not None else "")


def _pace(look: Look) -> list[str]:
    if look.state != "training" or look.speed is None:
        return []
    left = look.seconds_left
    most = look.config.train.stop_after_grokking is not None or look.config.train.max_seconds is not None
    eta = [] if left is None else [f"{'at most' if most else 'about'} {duration(left)} left"]
    return [f"{look.speed:,.3g} steps/s" if look.speed < 100 else f"{look.speed:,.0f} steps/s", *eta]


def _curves(look: Look, width: int, height: int, *, ascii_only: bool) -> list[Text]:
    """Losses on one logarithmic scale, accuracies from 0 to 1, and the steps below."""
    series = {name: _points(look, name) for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy")}
    known = [value for name in ("train_loss", "test_loss") for _, value in series[name] if value > 0]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    shown = _Plot(look.phases.last_step, width, height, ascii_only)
    lines: list[Text] = []
    for split, color in (("train", TRAIN), ("test", TEST)):
        points = [(step, math.log10(max(value, low))) for step, value in series[f"{split}_loss"]]
        scale = (math.log10(low), math.log10(high), _loss(low), _loss(high))
        lines += shown.lines(f"{split} loss", _loss(look.last(f"{split}_loss")), points, color, scale)
    for split, color in (("train", TRAIN), ("test", TEST)):
        value = _accuracy(look.last(f"{split}_accuracy"))
        lines += shown.lines(f"{split} accuracy", value, series[f"{split}_accuracy"], color, (0, 1, "0", "1"))
    return [*lines, shown.axis()]


class _Plot:
    """How wide and high the curves are, and of how many steps."""

    def __init__(self, last: int, width: int, height: int, ascii_only: bool) -> None:
        self.last, self.height, self.ascii_only = last, height, ascii_only
        self.width = width - LABELS - 1

    def lines(
        self, label: str, value: str, points: Sequence[Point], color: str, scale: tuple[float, float, str, str]
    ) -> list[Text]:
        """The lines of one curve: its name and last value on the left, and its scale where there is room."""
        low, high, low_name, high_name = scale
        drawn = bars(columns(points, self.last, self.width), low, high, self.height, ascii_only=self.ascii_only)
        left = [Text(f"{label:<14}{value:>8}"), *[Text() for _ in drawn[1:]]]
        if self.height > 1:
            left = [Text(f"{label:<15}"), Text(f"  {value}", style="bold"), *[Text() for _ in drawn[2:]]]
            for line, name in ((0, high_name), (self.height - 1, low_name)):
                left[line].pad_right(LABELS - len(left[line]) - len(name))
                left[line].append(name, style=FAINT)
        for start, bar in zip(left, drawn, strict=True):
            start.pad_right(LABELS - len(start) + 1)
            start.append(bar, style=color)
        return left

    def axis(self) -> Text:
        """The first and the last step below the curves."""
        name, end = "step 0", f"{self.last:,}"
        gap = " " * max(self.width - len(name) - len(end), 1)
        return _fit(Text(f"{'losses: log scale':<{LABELS}} {name}{gap}{end}", style=FAINT), LABELS + 1 + self.width)


def _facts(look: Look) -> list[str]:
    """Norm of the weights and key frequencies, where they are known."""
    norm, keys, facts = look.last("weight_norm"), look.keys, []
    if norm is not None:
        facts.append(f"sum of squared weights {norm:,.0f}" if norm >= 100 else f"sum of squared weights {norm:.3g}")
    if keys is not None:
        many = f"{len(keys.ks)} of {keys.n}, none stands out"
        named = ", ".join(map(str, keys.ks)) if len(keys.ks) <= MOST_KEYS else many
        facts.append(f"key frequencies {named} (W_L rule, checkpoint of step {keys.step:,})")
    return facts


def _points(look: Look, series: str) -> list[Point]:
    return [(row["step"], row[series]) for row in look.phases.rows if row.get(series) is not None]


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}" if 0 < value < 0.01 else f"{value:.3g}"


def _accuracy(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _fit(text: Text, width: int) -> Text:
    """One line, cut where it is too long."""
    shown = Text(one_line(text.plain), style=text.style)
    if cell_len(shown.plain) > width:
        shown.truncate(max(width - 3, 1), overflow="crop")
        shown.append("..."[: max(width - 1, 0)])
    return shown


def _wrapped(sentence: str, width: int) -> list[Text]:
    """Words on as many lines as they need."""
    lines, current = [], ""
    for word in one_line(sentence).split(" "):
        longer = f"{current} {word}" if current else word
        if current and cell_len(longer) > width:
            lines.append(current)
            current = word
        else:
            current = longer
    return [_fit(Text(line), width) for line in [*lines, current]]
