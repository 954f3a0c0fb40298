"""How much memory a training or an analysis takes, said before anything is allocated; see `memory.check`.

Estimates, from shapes alone, of the peak beyond what Python with its libraries holds. They leave out what is small
at every size; the tests hold them against measured peaks, within a factor of two either way.

Letters: N weights, b bytes of a number (4 in float32, 8 in float64), B pairs of a batch, P pairs of the task,
T positions, L blocks, D d_model, M neurons of a block, A n_heads d_head, C outputs.
"""

from grokinterp.config import LSTMConfig, MLPConfig, RunConfig, TransformerConfig
from grokinterp.memory import Estimate
from grokinterp.models.weights import weight_specs
from grokinterp.tasks.layouts import Layout, build_layout

EVALUATED = 4096
"""Pairs of one forward pass of an evaluation."""

TEMPORARIES = 1.5
"""Further copies of the weights that come and go within a step: gradients' products, the optimizer's terms."""

CUBES, NEURONS, WEIGHTS = 10.0, 6.0, 28.0
"""Copies of the logits of all pairs, of their neurons and of the weights in an analysis with every measure, all in
float64: the snapshot's own, those in natural order, spectra of either; perturbed networks, Lanczos vectors."""

THREADS = 1.75
"""What checkpoints side by side take more than as many one after another: each thread keeps a heap of its own."""


def training_estimate(config: RunConfig, n_replicas: int = 1) -> Estimate:
    """What training takes at its peak, for so many replicas at once.

        weights      N b (2 k + 1 + TEMPORARIES),   k = 1 + what the optimizer and the regularizers keep
        batch        B (floats a pair) b + B C (b + 24)
        evaluation   the same without gradients for 4,096 pairs
        data         8 P (8 + 2 T)

    The 2 k are what is kept, and the resume file of it, made in memory; k is 3 for adamw, 1 for sgd without momentum.
    The loss takes three numbers in float64 beside each logit.

    **Known values:** measured peaks, within a factor of two.
    """
    layout, n_out = _layout(config), _n_outputs(config)
    size = 8 if config.train.dtype == "float64" else 4
    n_weights = _n_weights(config, layout, n_out)
    kept = 1 + _optimizer_copies(config) + _regularizer_copies(config)
    batch = min(config.batch_size or config.task.n_train, config.task.n_train)
    read = layout.n_ctx if config.train.loss_on == "sequence" else 1
    loss = n_out * read * (size + 24)
    evaluated = min(EVALUATED, config.task.n_pairs)
    as_replicas = n_replicas > 1
    parts = {
        "the weights, their gradients and the optimizer": n_weights * size * (2 * kept + 1 + TEMPORARIES),
        "the activations of a batch": batch * (_floats_of_pair(config, layout, by_hand=not as_replicas) * size + loss),
        "an evaluation": evaluated * (_floats_without_gradient(config, layout) * size + loss) / n_replicas,
        "the pairs": 8 * config.task.n_pairs * (8 + 2 * layout.n_ctx),
    }
    if as_replicas:  # the stacked weights with their gradients and moments, beside those of each
        parts["the weights, their gradients and the optimizer"] += n_weights * size * (kept + 1)
    lower = dict(zip(parts, (_width(config), _fewer_pairs(config), _width(config), _smaller(config)), strict=True))
    if as_replicas:
        lower = dict.fromkeys(parts, "--replicas")
    what = f"training {n_replicas} replicas at once" if as_replicas else "training"
    return Estimate(what, {name: int(value * n_replicas) for name, value in parts.items()}, lower)


def analysis_estimate(config: RunConfig, n_jobs: int = 1, *, whole: bool = True) -> Estimate:
    """What an analysis takes at its peak, for so many checkpoints at a time.

        logits       8 P C CUBES        P all pairs, also those without an answer
        neurons      8 P M NEURONS
        attention    8 P (3 A + heads T)
        weights      8 N WEIGHTS

    all times n_jobs, and times THREADS if there are several. Without `whole`, for some measures only, the least that
    any takes: two copies of each.

    **Known values:** measured peaks of all measures, within a factor of two.
    """
    cubes, neurons, weights = (CUBES, NEURONS, WEIGHTS) if whole else (2.0, 2.0, 2.0)
    layout, n_out, model = _layout(config), _n_outputs(config), config.model
    n_pairs, n_weights = config.task.n_elements**config.task.n_operands, _n_weights(config, layout, n_out)
    heads = model.n_heads * layout.n_ctx if isinstance(model, TransformerConfig) else 0
    parts = {
        "the logits of all pairs": 8 * n_pairs * n_out * cubes,
        "the neurons at all pairs": 8 * n_pairs * _neurons(config) * neurons,
        "attention at all pairs": 8 * n_pairs * (3 * _attention_width(config) + heads),
        "the weights": 8 * n_weights * weights,
    }
    fewer = "--jobs" if n_jobs > 1 else "the number of measures (--only)" if whole else "the size of the run"
    times = n_jobs * (THREADS if n_jobs > 1 else 1)
    return Estimate("an analysis", {name: int(n * times) for name, n in parts.items()}, dict.fromkeys(parts, fewer))


# What the shapes say ---------------------------------------------------------------------------


def _layout(config: RunConfig) -> Layout:
    return build_layout(config.task.layout, config.task.n_elements, config.task.n_operands)


def _n_outputs(config: RunConfig) -> int:
    table = config.task.table
    answers = config.task.n_elements if table is None else 1 + max(max(row) for row in table)
    return max(answers, _layout(config).d_vocab) if config.train.loss_on == "sequence" else answers


def _n_weights(config: RunConfig, layout: Layout, n_out: int) -> int:
    total = 0
    for spec in weight_specs(config.model, layout, n_out).values():
        size = 1
        for length in spec.shape:
            size *= length
        total += size
    return total


def _optimizer_copies(config: RunConfig) -> int:
    optimizer = config.optimizer
    moments = {"adamw": 2, "adam": 2, "muon": 2, "sgd": int(optimizer.momentum > 0)}[optimizer.name]
    return moments + (optimizer.decay_to == "init")


def _regularizer_copies(config: RunConfig) -> int:
    extra = config.regularizer
    grokfast = {"none": 0, "ema": 1, "ma": extra.grokfast_window}[extra.grokfast]
    return grokfast + sum(bool(x) for x in (extra.weight_noise, extra.sam_rho, extra.update_noise))


def _neurons(config: RunConfig) -> int:
    return config.model.mlp_width if isinstance(config.model, TransformerConfig) else config.model.d_hidden


def _attention_width(config: RunConfig) -> int:
    return config.model.n_heads * config.model.head_width if isinstance(config.model, TransformerConfig) else 0


def _floats_of_pair(config: RunConfig, layout: Layout, *, by_hand: bool) -> float:
    """Numbers that a forward and a backward pass hold for a pair, its logits apart.

    A transformer: 3 M + 4 A + 3 D a block and position (with LayerNorm 4 D more), at all positions but in the last
    block of the fast engine; 2 M + 3 A where one block is differentiated by hand. An MLP: 4 M a layer. An LSTM:
    16 M a layer and position.
    """
    model, m = config.model, _neurons(config)
    if isinstance(model, MLPConfig):
        return 4 * m * model.n_layers
    if isinstance(model, LSTMConfig):
        return 16 * m * model.n_layers * layout.n_ctx
    a, d = _attention_width(config), model.d_model
    if by_hand and model.n_layers == 1 and config.why_not_fast is None and config.train.engine != "hooked":
        return 2 * m + 3 * a
    norms = 0 if model.normalization == "none" else 4 * d
    return _positions(config, layout) * (3 * m + 4 * a + 3 * d + norms)


def _floats_without_gradient(config: RunConfig, layout: Layout) -> float:
    """The same of a forward pass alone, which holds one block at a time: 2 M + 4 A + 3 D at all positions."""
    model, m = config.model, _neurons(config)
    if isinstance(model, MLPConfig):
        return 3 * m
    if isinstance(model, LSTMConfig):
        return 10 * m
    a, d = _attention_width(config), model.d_model
    whole = model.n_layers > 1 or config.why_not_fast is not None or config.train.engine == "hooked"
    return (2 * m + 4 * a + 3 * d) * (layout.n_ctx if whole else 1)


def _positions(config: RunConfig, layout: Layout) -> int:
    """Blocks times positions that are computed."""
    n_layers = config.model.n_layers
    if config.why_not_fast is not None or config.train.engine == "hooked":
        return n_layers * layout.n_ctx
    return (n_layers - 1) * layout.n_ctx + 1


# What to lower -----------------------------------------------------------------------------------


def _width(config: RunConfig) -> str:
    return "--model.d-mlp or --model.d-model" if isinstance(config.model, TransformerConfig) else "--model.d-hidden"


def _fewer_pairs(config: RunConfig) -> str:
    return f"--train.batch-size (512, say) or {_width(config)}"


def _smaller(config: RunConfig) -> str:
    return "--task.p" if config.task.group is None else "the order of --task.group"
