"""The curves that are compared, and the measuring of a run for them.

All curves that the measures declare (`Measure.series`), but for measures on request, and some more. Of each measure
only the tables that hold a curve are computed, at every checkpoint after memorisation or, where that costs much, at
every SPARSE-th.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import grokinterp as gi
from grokinterp.measures.measure import Series
from grokinterp.measures.registry import builtin_measures

Needs = Literal["weights and training pairs", "test pairs", "the run's end"]
OPEN: Needs = "weights and training pairs"

SPARSE = 3
COSTLY = {
    ("causal", ""),
    ("clock_pizza", ""),
    ("commutator", ""),
    ("complexity", "neurons"),
    ("flatness", ""),
    ("numerics", "gradient"),
}
"""Measures and parts that are computed at every SPARSE-th checkpoint."""

PARAMS: Mapping[str, Mapping[str, Any]] = {
    "flatness": {"sigmas": {"weight-proportional": [0.1]}, "n_samples": 8},
    "commutator": {"n_batch_pairs": 3},
}
"""Less of what is not looked at here."""


@dataclass(frozen=True)
class Curve:
    """One curve of one measure.

    needs: What somebody must know to draw it: answers to the test pairs, the run's last checkpoint (through its key
        frequencies), or neither. Only the last kind could predict.
    """

    measure: str
    series: Series
    needs: Needs

    @property
    def table(self) -> str:
        """The table of `measure_run` that holds it."""
        name = _piece_name(self.measure, self.series.part)
        return f"{name}.{self.series.part}" if self.series.part else name


WITH_TEST = {
    "test loss",
    "test accuracy",
    "mean test margin",
    "test p(correct)",
    "test margin",
    "test 1 / rank",
    "restricted loss (own K)",
    "restricted loss (random K)",
    "excluded loss (own K)",
    "sum share of the correct logit",
    "logit share on all sums",
    "distance irrelevance",
}
"""All-pairs quantities that look at the answers of test pairs are among them.

So are those that average logits over all pairs of one sum, which are the pairs of one answer, even where the loss is
then taken on training pairs alone: such an average of a training pair's logits has test pairs' in it.
"""

WITH_END = {
    "restricted loss (all)",
    "excluded loss (train)",
    "excluded loss (random K)",
    "cosine FVE of the logits",
    "logit share on sums of K",
    "loss with K alone in W_E",
    "train loss without K's neurons",
    "restricted loss (irreps)",
}

WITH_NEITHER = {
    "attention entropy",
    "attention in one frequency",
    "gradient symmetricity",
    "commutator defect",
    "spectral entropy of the weights",
    "effective rank of W_L",
    "effective rank of W_E",
    "spectral entropy of the neurons",
    "coset purity of W_U",
    "Gini of W_L",
    "Gini of W_E",
    "Gini of W_U",
    "IPR of W_L",
    "rules agree (W_L, neurons)",
    "10 % noise adds",
    "neurons of one frequency",
    "energy in pure neurons",
    "mean purity of the neurons",
    "float32 softmax collapse",
    "float32 losses of 0",
    "circularity of PC 1",
    "variance in PC 1 of W_E",
    "sum of squared weights",
    "normalised margin",
    "train loss",
    "mean train margin",
    "gradient along -weights",
    "norm of W_U",
}
"""Some read the network at test pairs too, but not at their answers; and some put symbols in natural order, which
knows the operation."""

CIRCUIT = {
    "attention in one frequency",
    "gradient symmetricity",
    "distance irrelevance",
    "coset purity of W_U",
    "Gini of W_L",
    "Gini of W_E",
    "Gini of W_U",
    "IPR of W_L",
    "rules agree (W_L, neurons)",
    "neurons of one frequency",
    "energy in pure neurons",
    "mean purity of the neurons",
    "circularity of PC 1",
    "restricted loss (all)",
    "restricted loss (own K)",
    "restricted loss (irreps)",
    "excluded loss (train)",
    "excluded loss (own K)",
    "cosine FVE of the logits",
    "logit share on sums of K",
    "logit share on all sums",
    "sum share of the correct logit",
    "loss with K alone in W_E",
    "train loss without K's neurons",
}
"""What tells of the circuit: frequencies, circles, sums, cosets. Not losses, margins, norms and ranks as such, and not
the random controls."""

_OWN = {"keys": "own"}
MORE: tuple[tuple[str, Series], ...] = (
    ("accuracy_loss", Series("test accuracy", "accuracy", where={"split": "test"}, threshold=0.5)),
    ("accuracy_loss", Series("train loss", "loss", where={"split": "train"}, log=True)),
    ("complexity", Series("effective rank of W_E", "effective_rank", where={"matrix": "W_E"})),
    ("embedding_spectrum", Series("Gini of W_U", "gini", where={"matrix": "W_U"})),
    ("embedding_spectrum", Series("IPR of W_L", "ipr", where={"matrix": "W_L"})),
    ("logit_map", Series("mean train margin", "margin_mean", where={"split": "train"})),
    ("logit_map", Series("sum share of the correct logit", "sum_share", where={"split": "all"}, threshold=0.5)),
    ("logit_spectrum", Series("logit share on all sums", "sum_share_all", threshold=0.5)),
    ("neuron_frequencies", Series("energy in pure neurons", "energy_share", where={"k": 0}, threshold=0.5)),
    ("neuron_frequencies", Series("mean purity of the neurons", "mean_fraction", where={"k": 0})),
    ("numerics", Series("gradient along -weights", "nlm_cosine", "gradient")),
    ("numerics", Series("norm of W_U", "unembedding_norm", log=True)),
    ("progress_measures", Series("restricted loss (own K)", "restricted_loss", "", {**_OWN, "split": "all"}, 0.5)),
    ("progress_measures", Series("excluded loss (own K)", "excluded_loss", "", {**_OWN, "split": "train"}, 1.0)),
    (
        "progress_measures",
        Series("excluded loss (random K)", "excluded_loss", "", {"keys": "random", "split": "train"}, 1.0),
    ),
    ("symbol_pca", Series("variance in PC 1 of W_E", "share", "", {"matrix": "W_E", "component": 1})),
)

THRESHOLDS = {"spectral entropy of the neurons": 0.61}
"""Thresholds that others have found, for curves whose measure declares none: Truong et al. (arXiv 2604.13123)."""

SAME = {"test margin"}
"""Declared twice under different names; `mean test margin` is kept."""

REFERENCE = "test accuracy"
"""The curve with whose own move the others' are compared."""


def curves() -> list[Curve]:
    """All of them.

    Raises:
        GrokinterpError: a curve that stands in none of WITH_TEST, WITH_END and WITH_NEITHER.
    """
    declared = [(m.name, s) for m in builtin_measures().values() if not m.on_request for s in m.series]
    in_logs = [
        (name, replace(s, unit="log_answers") if name == "progress_measures" and s.threshold else s) for name, s in MORE
    ]
    chosen = [
        (name, replace(s, threshold=THRESHOLDS.get(s.label, s.threshold)))
        for name, s in (*declared, *in_logs)
        if s.label not in SAME
    ]
    return [Curve(name, s, _needs(s.label)) for name, s in chosen]


def _needs(label: str) -> Needs:
    kinds: dict[Needs, set[str]] = {"the run's end": WITH_END, "test pairs": WITH_TEST, OPEN: WITH_NEITHER}
    for needs, labels in kinds.items():
        if label in labels:
            return needs
    raise gi.GrokinterpError(f"nothing says what the curve {label!r} needs; name it in WITH_TEST or its neighbours")


def measure_run(run: gi.Run, *, sparse: int = SPARSE) -> dict[str, str]:
    """Compute what is missing of the tables; the measures that have no meaning for this run, with the reason.

    Raises:
        GrokinterpError: a measure failed.
    """
    skipped: dict[str, str] = {}
    for costly, every in ((False, 1), (True, sparse)):
        pieces = [piece for key, piece in _pieces().items() if (key in COSTLY) == costly]
        params = {_piece_name(m, p): PARAMS[m] for m, p in _pieces() if m in PARAMS and ((m, p) in COSTLY) == costly}
        outcome = gi.analyze(run, pieces, every=every, params=params, show_progress=False)
        if outcome.failed:
            name, why = next(iter(outcome.failed.items()))
            raise gi.GrokinterpError(f"{run.config.name}, {name}: {why}")
        skipped |= outcome.skipped
    return skipped


def _pieces() -> dict[tuple[str, str], gi.Measure]:
    """Each measure's part that holds a curve, as a measure of its own at every checkpoint."""
    known, found = builtin_measures(), {}
    for curve in curves():
        name, part = curve.measure, curve.series.part
        if (name, part) not in found:
            whole = known[name]
            parts = {part: replace(whole.parts[part], steps="all")}
            found[name, part] = replace(whole, name=_piece_name(name, part), parts=parts, series=())
    return found


def _piece_name(measure: str, part: str) -> str:
    return f"curves_{measure}_{part}" if part else f"curves_{measure}"
