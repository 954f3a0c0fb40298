"""The page's views in their order: what each shows, where its numbers come from, and its caption."""

from collections.abc import Callable
from dataclasses import dataclass

from grokinterp.measures.registry import builtin_measures
from grokinterp.reports import curves, pairs, spectra
from grokinterp.reports.absent import AbsentError
from grokinterp.reports.curves import View
from grokinterp.reports.maps import Film
from grokinterp.run import Run


@dataclass(frozen=True)
class Kind:
    """A view.

    Attributes:
        name: Of the view in the page.
        section: Heading it stands under.
        source: Measure and part, "logit_map.maps"; empty for what is read from metrics.jsonl.
        columns: Declared columns that it shows.
        note: How to read it.
        collect: Its numbers.
    """

    name: str
    title: str
    section: str
    source: str
    columns: tuple[str, ...]
    note: str
    collect: Callable[[Run, Film], View]


def collect_views(run: Run, found: Film) -> tuple[list[View], list[dict[str, str]]]:
    """The views that have numbers, each with its caption; the others with the reason.

    Raises:
        GrokinterpError: a damaged table.
    """
    views, missing = [], []
    for kind in KINDS:
        try:
            data = kind.collect(run, found)
        except AbsentError as reason:
            missing.append({"title": kind.title, "reason": str(reason)})
            continue
        head = {"name": kind.name, "title": kind.title, "section": kind.section, "note": kind.note}
        views.append({**head, "caption": _caption(kind, data.pop("source", kind.source)), **data})
    return views, missing


def _caption(kind: Kind, source: str) -> View | None:
    """The measure's summary and reference, and what the shown columns mean."""
    name, _, part = source.partition(".")
    measure = builtin_measures().get(name)
    if measure is None:
        return None
    declared = measure.parts[part].all_columns
    shown = [(column, declared[column]) for column in kind.columns if column in declared]
    return {
        "table": source,
        "summary": measure.summary,
        "reference": measure.reference,
        "columns": [{"name": c, "meaning": about.meaning, "unit": about.unit} for c, about in shown],
    }


def _of_tables(collect: Callable[[Run], View]) -> Callable[[Run, Film], View]:
    return lambda run, _film: collect(run)


COURSE, WAVES, PAIRS, MECHANISM = "The course of training", "Frequencies", "Pair by pair", "The mechanism"

KINDS = (
    Kind(
        "loss",
        "Loss",
        COURSE,
        "accuracy_loss",
        ("loss",),
        "Shaded: the phases. The line is the chosen checkpoint; a click on a curve goes to the nearest one.",
        _of_tables(curves.losses),
    ),
    Kind(
        "accuracy",
        "Accuracy",
        COURSE,
        "accuracy_loss",
        ("accuracy",),
        "Share of pairs answered right. Dashed: the evaluation from which test accuracy is at least one half.",
        _of_tables(curves.accuracies),
    ),
    Kind(
        "moves",
        "What moved when",
        COURSE,
        "",
        (),
        "Between which two checkpoints each measure's curve crossed its threshold or bent. Curves that use the "
        "last checkpoint's key frequencies know the end of the run: compare them with the random control.",
        _of_tables(curves.moves),
    ),
    Kind(
        "declared",
        "Any curve",
        COURSE,
        "",
        (),
        "Each measure's own curves, one at a time. A click in 'What moved when' chooses one here.",
        _of_tables(curves.declared),
    ),
    Kind(
        "spectrum",
        "Fourier spectrum",
        WAVES,
        "embedding_spectrum.components",
        ("norm", "k"),
        "Coloured: the key frequencies. A click on a bar follows that frequency in every view.",
        _of_tables(spectra.spectrum),
    ),
    Kind(
        "spectrogram",
        "The spectrum over training",
        WAVES,
        "embedding_spectrum.components",
        ("norm", "k"),
        "Every frequency at every checkpoint. A click follows the frequency and goes to the checkpoint.",
        _of_tables(lambda run: {"of": "spectrum"} if spectra.spectrum(run) else {}),
    ),
    Kind(
        "circle",
        "The circle of one frequency",
        WAVES,
        "symbol_pca.circles",
        ("x", "y"),
        "The symbols in the plane of the followed frequency k. Colour and line go by k times the symbol's place "
        "modulo n, so a formed circle shows the colours in order.",
        pairs.circles,
    ),
    Kind(
        "pca",
        "PCA of the symbols",
        WAVES,
        "symbol_pca.coordinates",
        ("pc1", "pc2"),
        "Colour: the symbol's place, times the followed frequency modulo n.",
        _of_tables(spectra.symbols),
    ),
    Kind(
        "clusters",
        "Neurons of one frequency",
        WAVES,
        "neuron_frequencies",
        ("n_neurons", "threshold"),
        "How many neurons hold at least the threshold of their energy in one frequency.",
        _of_tables(spectra.clusters),
    ),
    Kind(
        "neurons",
        "Each neuron's frequency",
        WAVES,
        "neuron_frequencies.neurons",
        ("k", "fraction"),
        "A point a neuron: its best frequency and how much of its energy that holds. Known at fewer checkpoints.",
        _of_tables(spectra.neurons),
    ),
    Kind(
        "irreps",
        "Irreps of the group",
        WAVES,
        "group_representations",
        ("logit_share",),
        "Coloured: the key irreps of the last checkpoint.",
        _of_tables(spectra.irreps),
    ),
    Kind(
        "table",
        "The operation table",
        PAIRS,
        "operation_table.cells",
        ("answer", "predicted", "split", "right"),
        "Strong colour: answered right. Pale: wrong. Hover for the answer and the network's.",
        pairs.table,
    ),
    Kind(
        "correct",
        "The correct logit",
        PAIRS,
        "logit_map.maps",
        ("correct_logit",),
        "The logit of the right answer of each pair.",
        pairs.logits("correct"),
    ),
    Kind(
        "answer",
        "One answer's logit",
        PAIRS,
        "logit_map.maps",
        ("answer_logit",),
        "A band where the pairs have this answer, for a network that computes the operation.",
        pairs.logits("answer"),
    ),
    Kind(
        "attention",
        "Attention to the left operand",
        PAIRS,
        "attention.pattern",
        ("attention",),
        "From the last position, a map a head.",
        pairs.attention,
    ),
    Kind(
        "progress",
        "Restricted and excluded loss",
        MECHANISM,
        "progress_measures",
        ("full_loss", "restricted_loss", "excluded_loss"),
        "Restricted: the key frequencies alone. Excluded: everything but them. Dotted: as many random ones.",
        _of_tables(curves.progress),
    ),
    Kind(
        "weight_norm",
        "Weight norm",
        MECHANISM,
        "weight_norm",
        ("sum_of_squares",),
        "",
        _of_tables(curves.weight_norm),
    ),
    Kind(
        "flatness",
        "Flatness",
        MECHANISM,
        "flatness",
        ("loss_increase",),
        "What Gaussian noise in proportion to each weight adds to the train loss; less is flatter. "
        "Where it lowers the loss there is no place for it on the logarithmic axis.",
        _of_tables(curves.flatness),
    ),
)
