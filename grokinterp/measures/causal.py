"""What the network does without its key directions, its key neurons, its heads; and with another's parts."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot
    from grokinterp.snapshots.ablation import Bench
    from grokinterp.tables import Tables

    Ablation = tuple[Row, Sequence[Tensor]]  # what the rows say of it, and its scores, one for each draw


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Loss and accuracy without key directions, key neurons and heads, beside random controls of equal size.

    embedding: W_E -> W_E - P_K W_E ("remove") or mean + P_K W_E ("keep"), P_K the projector on cos w_k x,
    sin w_k x over the operand tokens x in natural order; control: as many frequencies outside K, where there are.
    neurons: those of the last block with at least `threshold` of their energy in one frequency k of K, set to 0
    ("zero") or to their mean over all defined pairs ("mean"), for each k, for K, and simply all; control: as
    many drawn from all neurons, `n_draws` times (without natural coordinates, a random half).
    head: W_O[h] = 0 ("zero"), or z_h at its mean over all defined pairs ("mean", one block without LayerNorm
    only); control: d_head random rows of the block's W_O, zero, `n_draws` times.
    keys: "last", K of the run's last checkpoint; "own", this checkpoint's (embedding, and K's neurons).
    loss_increase = loss - loss of the whole network. Zero ablation also shifts the mean of what is read later.

    **Paper:** Nanda et al. 2023, section 5 and their notebook (neurons of one frequency taken out). Controls are ours.
    **Known values:** a pizza without K in W_E, without its neurons or its head: loss log p; without other
    frequencies, or with K alone: unchanged; without the neurons of one of two frequencies: the pizza of the other.
    """
    from grokinterp.snapshots.ablation import Bench, has_frequencies

    bench = Bench(snapshot)
    base = bench.score(snapshot.logits[bench.pairs[0], bench.pairs[1]])
    found = [(_said("none", "none", "none", 0), [base]), *_neurons(bench, params)]
    found += _heads(bench, params) if snapshot.architecture == "transformer" else []
    found += _embeddings(bench) if has_frequencies(snapshot) else []
    return [row for ablation in found for row in _rows(bench, base, ablation)]


def _said(component: str, ablation: str, target: str, n_removed: int, **more: object) -> Row:
    """The cells that say what was ablated; those that have no meaning are null."""
    what = {"component": component, "ablation": ablation, "target": target, "n_removed": n_removed}
    return {**what, "keys": None, "control": False, "k": None, "block": None, "head": None, **more}


def _rows(bench: "Bench", base: "Tensor", ablation: "Ablation") -> Iterator[Row]:
    """A row for each split: means over the draws."""
    import torch

    said, draws = ablation
    n, scores = len(draws), torch.stack(list(draws))
    mean, error = scores.mean(dim=0), scores[..., 0].std(dim=0) / n**0.5 if n > 1 else None
    for i, split in enumerate(bench.splits):
        yield {
            **said,
            "split": split,
            "loss": float(mean[i, 0]),
            "loss_increase": float(mean[i, 0] - base[i, 0]),
            "standard_error": None if error is None else float(error[i]),
            "accuracy": float(mean[i, 1]),
            "accuracy_change": float(mean[i, 1] - base[i, 1]),
            "n_draws": n,
        }


def _embeddings(bench: "Bench") -> "list[Ablation]":
    """W_E without K and with K alone, for the last checkpoint's K, its control, and the own K."""
    from grokinterp.snapshots.ablation import embedding_only, embedding_without, n_waves

    snapshot, n, found = bench.snapshot, bench.snapshot.coordinates.n, []
    known = {}  # the own K is often that of the last checkpoint
    sets = (("last", snapshot.keys), ("control", snapshot.random_keys), ("own", snapshot.own_keys))
    for name, ks in ((name, keys.ks) for name, keys in sets):
        if ks not in known:
            known[ks] = [bench.score(bench.logits(edit(snapshot, ks))) for edit in (embedding_without, embedding_only)]
        of_set = {"keys": "own" if name == "own" else "last", "control": name == "control"}
        sizes = (n_waves(n, ks), n - 1 - n_waves(n, ks))
        for ablation, size, score in zip(("remove", "keep"), sizes, known[ks], strict=True):
            found.append((_said("embedding", ablation, "K", size, **of_set), [score]))
    return found


def _neurons(bench: "Bench", params: dict) -> "list[Ablation]":
    """The last block without the neurons of each key frequency, of all of them, of none in particular."""
    import torch

    from grokinterp.seeding import generator
    from grokinterp.snapshots.ablation import has_frequencies, neurons_of

    snapshot = bench.snapshot
    everything = torch.arange(snapshot.neuron_acts.shape[2], device=snapshot.logits.device)
    found = _neuron_ablations([{"target": "all"}], [everything], [_scores(bench, [everything])])
    if has_frequencies(snapshot):
        ks, own = snapshot.keys.ks, snapshot.own_keys.ks
        groups = neurons_of(snapshot, ks, params["threshold"])
        said = [{"target": "k", "k": k, "keys": "last"} for k in ks] + [{"target": "K", "keys": "last"}]
        found += _neuron_ablations(said, groups, [_scores(bench, groups)])
        mine = torch.cat([everything[:0], *neurons_of(snapshot, own, params["threshold"])])
        found += _neuron_ablations([{"target": "K", "keys": "own"}], [mine], [_scores(bench, [mine])])
    else:
        groups, said = [everything[: len(everything) // 2]], [{"target": "half"}]
    stream, sizes = generator("causal neurons", params["seed"]), [len(group) for group in groups]
    shuffled = [torch.randperm(len(everything), generator=stream) for _ in range(params["n_draws"])]
    # disjoint random groups of these sizes; their union is a random group too
    draws = [_scores(bench, order[: sum(sizes)].to(everything.device).split(sizes)) for order in shuffled]
    return found + _neuron_ablations([{**cells, "control": True} for cells in said], groups, draws)


def _scores(bench: "Bench", groups: "Sequence[Tensor]") -> "list[list[Tensor]]":
    """Of zero and mean ablation, for each group and for all groups together."""
    from grokinterp.snapshots.ablation import without_neurons

    return [[bench.score(logits) for logits in both] for both in without_neurons(bench, groups)]


def _neuron_ablations(
    said: Sequence[Row], groups: "Sequence[Tensor]", draws: "Sequence[list[list[Tensor]]]"
) -> "list[Ablation]":
    """An ablation for each group that `said` describes (the last may be all groups), zero and mean."""
    sizes = [*map(len, groups), sum(map(len, groups))]
    return [
        (_said("neurons", kind, n_removed=size, **cells), [draw[i][which] for draw in draws])
        for i, (cells, size) in enumerate(zip(said, sizes, strict=False))
        for which, kind in enumerate(("zero", "mean"))
    ]


def _heads(bench: "Bench", params: dict) -> "list[Ablation]":
    """Each head zero, and at its mean where that is known; the control where there are several heads."""
    import torch

    from grokinterp.seeding import generator
    from grokinterp.snapshots.ablation import mean_head_outputs, without_head_rows

    snapshot, found, means = bench.snapshot, [], mean_head_outputs(bench.snapshot)
    n_heads, d_head, _ = snapshot.weights["blocks.0.attn.W_O"].shape
    kinds = {"zero": None} if means is None else {"zero": None, "mean": means}
    stream = generator("causal heads", params["seed"])
    for block in range(snapshot.n_layers):
        for head in range(n_heads):
            rows = torch.arange(head * d_head, (head + 1) * d_head, device=snapshot.logits.device)
            for kind, values in kinds.items():
                score = bench.score(bench.logits(without_head_rows(snapshot, block, rows, values)))
                found.append((_said("head", kind, "head", d_head, block=block, head=head), [score]))
        scores = []
        for _ in range(params["n_draws"]):
            rows = torch.randperm(n_heads * d_head, generator=stream)[:d_head].to(snapshot.logits.device)
            scores.append(bench.score(bench.logits(without_head_rows(snapshot, block, rows))))
        if n_heads > 1:  # of one head alone all rows are drawn, which is no control
            found.append((_said("head", "zero", "head", d_head, block=block, control=True), scores))
    return found


def compute_transplant(run: "Run", *, steps: Sequence[int], params: dict) -> list[Row]:
    """The memorised and the grokked network with one component of the other, in both directions.

    hybrid = receiver with the donor's weights of one component, all else its own; "none" is the receiver.
    The checkpoints are the first at or after the events; no rows where one is missing or both are the same.

    **Known values:** pizzas of k (receiver) and k' (donor): with the donor's embedding the logits are
    A |cos(pi k'(a-b)/p)| cos(w_k'(a+b) - w_k c); with its attention nothing changes.
    """
    from grokinterp.snapshots.ablation import Bench, components_of, part_of

    del params
    marks = run.phases.landmarks(steps)
    places = [name for name in ("memorised", "grokked") if name in marks]
    if len({marks[name] for name in places}) < 2:
        return []
    snapshots = {name: run.bare_snapshot(marks[name]) for name in places}
    rows = []
    for receiver, donor in (places, places[::-1]):
        bench, given = Bench(snapshots[receiver]), snapshots[donor].weights
        base = bench.score(bench.logits({}))
        said = {"step": marks[receiver], "receiver": receiver, "donor": donor, "donor_step": marks[donor]}
        for component in ("none", *components_of(given)):
            score = bench.score(bench.logits(part_of(given, component)))
            for row in _rows(bench, base, ({**said, "component": component}, [score])):
                del row["standard_error"], row["n_draws"]
                rows.append(row)
    return rows


def plot(tables: "Tables") -> "Figure":
    """Loss over steps without each part and without the control, and of the transplants where there are any."""
    from grokinterp import plotting

    if len(tables["transplant"]):
        fig, (left, right) = plotting.figure(columns=2, width="text", height=2.6)
        _plot_transplants(right, tables)
    else:
        fig, left = plotting.figure(height=2.6)
    everything, lines = tables.main[tables.main["split"] == "all"], {}
    for (label, where), color in zip(CURVES.items(), (plotting.INK, *plotting.CYCLE), strict=False):
        for control, style in ((True, ":"), (False, "o-")):
            cells = {**where, "control": control}
            chosen = everything[(everything[list(cells)] == list(cells.values())).all(axis=1)]
            mean = chosen.groupby("step")["loss"].mean()  # over the heads, where there are several
            if len(mean):
                (lines[label],) = left.plot(mean.index, mean, style, ms=2, lw=1.0, color=color)
    (lines["random control"],) = left.plot([], [], ":", lw=1.0, color=plotting.INK)
    left.set_yscale("log")
    left.set_ylabel("loss of all pairs (nats)")
    fig.legend(lines.values(), lines, loc="outside lower center", ncols=2 * len(fig.axes), fontsize=6.5, frameon=False)
    return plotting.over_steps(fig, tables.phases, axes=[left])


def _plot_transplants(axis: "Axes", tables: "Tables") -> None:
    """Test loss of each network with each component of the other one; dashed: as it is."""
    from grokinterp import plotting

    table = tables["transplant"]
    split = "test" if "test" in set(table["split"]) else "all"
    table = table[table["split"] == split]
    for (receiver, rows), color in zip(table.groupby("receiver", sort=False), plotting.MARK_COLORS[1:], strict=False):
        label = f"{receiver} network (step {rows['step'].iloc[0]})"
        axis.plot(range(len(rows)), rows["loss"], "o", ms=4, color=color, label=label)
        axis.axhline(rows["loss"].iloc[0], color=color, lw=0.7, ls="--", zorder=0)
        axis.set_xticks(range(len(rows)), rows["component"], rotation=15)
    axis.set(yscale="log", xlabel="component taken from the other network", ylabel=f"{split} loss (nats)")
    plotting.legend(axis)


CURVES = {
    "whole network": {"component": "none"},
    "without K in $W_E$": {"component": "embedding", "ablation": "remove", "keys": "last"},
    "only K in $W_E$": {"component": "embedding", "ablation": "keep", "keys": "last"},
    "neurons of K at mean": {"component": "neurons", "ablation": "mean", "target": "K", "keys": "last"},
    "all neurons at mean": {"component": "neurons", "ablation": "mean", "target": "all"},
    "one head at zero": {"component": "head", "ablation": "zero"},
}
"""Curves of the figure, each with its control where there is one."""

_AFTER = {
    "split": Column("train, test or all (defined pairs)", kind="str"),
    "loss": Column("loss of the changed network", "nats", low=0),
    "loss_increase": Column("loss minus that of the unchanged network", "nats"),
    "accuracy": Column("accuracy of the changed network", low=0, high=1),
    "accuracy_change": Column("accuracy minus that of the unchanged network", low=-1, high=1),
}


def _half_of_chance(label: str, curve: str, split: str) -> Series:
    where = {**CURVES[curve], "control": False, "split": split}
    return Series(label, "loss", where=where, threshold=0.5, unit="log_answers")


MEASURE = Measure(
    name="causal",
    summary="Loss without key directions, key neurons or heads, beside random controls; transplants between networks.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 5; controls and transplants are ours.",
    parts={
        "": Part(
            {
                "component": Column("embedding, neurons (last block), head, or none (the whole network)", kind="str"),
                "ablation": Column("remove or keep (embedding), zero or mean (neurons, head), none", kind="str"),
                "target": Column("K, k (one frequency of K), all, half (random neurons), head, none", kind="str"),
                "keys": Column("which K: last (checkpoint's) or own", kind="str", null=True),
                "control": Column("whether a random set of the same size was taken instead", kind="bool"),
                "k": Column("the one frequency whose neurons are ablated", kind="int", low=1, null=True),
                "block": Column("block of the head", kind="int", low=0, null=True),
                "head": Column("the head; null for the control", kind="int", low=0, null=True),
                "n_removed": Column("how many Fourier functions, neurons or rows of W_O", kind="int", low=0),
                **_AFTER,
                "standard_error": Column("of the loss over the draws; null for one draw", "nats", low=0, null=True),
                "n_draws": Column("random draws that the row is a mean over; 1 if none", kind="int", low=1),
            },
            compute,
            steps="events",
        ),
        "transplant": Part(
            {
                "receiver": Column("network that is changed: memorised or grokked", kind="str"),
                "donor": Column("network that the component is from", kind="str"),
                "donor_step": Column("step of the donor's checkpoint", "steps", "int", low=0),
                "component": Column(
                    "embedding (with positions), attention, mlp, lstm, unembedding or none", kind="str"
                ),
                **_AFTER,
            },
            compute_transplant,
            scope="run",
        ),
    },
    plot=plot,
    params={"threshold": 0.85, "n_draws": 2, "seed": 0},
    uses_keys=True,
    series=(
        _half_of_chance("loss with K alone in W_E", "only K in $W_E$", "all"),
        _half_of_chance("train loss without K's neurons", "neurons of K at mean", "train"),
    ),
)
