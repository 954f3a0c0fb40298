"""Weights and pairs for two ways to compute one function, and how close they must be."""

import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.models.weights import init_weights, is_trained, weight_specs

MODULI = (2, 3, 5, 7, 12, 13)
TASKS = st.one_of(
    st.builds(
        lambda op, p: {"operation": op, "p": p}, st.sampled_from(["x+y", "x/y", "x^2+y^2"]), st.sampled_from(MODULI)
    ),
    st.builds(lambda p: {"operation": "x+y+z", "p": p}, st.sampled_from([2, 3, 5])),
    st.just({"operation": "x+y+z+w", "p": 3}),
    st.sampled_from([{"operation": operation, "group": "S3"} for operation in ("x.y", "x.y.x")]),
)
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def network(model, task, **sections):
    """A config of this model and task, half of the pairs trained on."""
    return gi.RunConfig.from_mapping({"task": {"frac_train": 0.5, **task}, "model": model, **sections})


class ModuleForward:
    """A module of token ids as a function of weights, so that it can stand beside an engine."""

    def __init__(self, module, layout):
        self.module, self.layout = module, layout

    def __call__(self, weights, left, right):
        return torch.func.functional_call(self.module, weights, (torch.stack(self.layout.columns(left, right), dim=1),))


def initial_weights(config, task, seed, dtype):
    """The model's own initialisation, with random biases where biases are trained."""
    model = config.model.model_copy(update={"init_seed": seed})
    weights = init_weights(model, task.layout, task.n_answers, torch.float64)
    stream = torch.Generator().manual_seed(seed)
    for name, spec in weight_specs(model, task.layout, task.n_answers).items():
        if spec.bias and is_trained(spec, model):
            weights[name] = 0.3 * torch.randn(spec.shape, generator=stream, dtype=torch.float64)
    return {name: value.to(dtype) for name, value in weights.items()}


def random_weights(config, task, seed, dtype):
    """Larger weights than at initialisation: attention is sharp, and four blocks amplify a lot."""
    stream = torch.Generator().manual_seed(seed)
    weights = {}
    for name, spec in weight_specs(config.model, task.layout, task.n_answers).items():
        scale = 0.5 if spec.bias or len(spec.shape) == 1 else spec.shape[-2] ** -0.5
        draw = torch.randn(spec.shape, generator=stream, dtype=torch.float64) * scale
        weights[name] = draw.to(dtype) if is_trained(spec, config.model) else torch.zeros(spec.shape, dtype=dtype)
    return weights


def inputs(task):
    left, right = task.pairs()
    return torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(task.table[left, right])


def gradients(forward, weights, left, right, label):
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    loss = F.cross_entropy(forward(leaves, left, right), label)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(leaves.items(), found, strict=True)}


def assert_close(ours, theirs, tolerance, scale=None):
    ours, theirs = ours.detach(), theirs.detach()
    scale = float(theirs.abs().max()) if scale is None else scale
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= tolerance * scale


def assert_same_function(ours, theirs, weights, pairs, tolerance):
    """Logits, what was kept on the way, and gradients."""
    left, right, _ = pairs
    assert_close(ours(weights, left, right), theirs(weights, left, right), tolerance)
    mine, other = ours.activations(weights, left, right), theirs.activations(weights, left, right)
    for name in ("logits", "neurons", "pattern"):
        if getattr(other, name).numel():
            scale = max(1.0, float(getattr(other, name).abs().max()))
            assert_close(getattr(mine, name), getattr(other, name), tolerance, scale)
    assert_same_gradients(gradients(ours, weights, *pairs), gradients(theirs, weights, *pairs), tolerance)


def gradient_terms(logits, label):
    """Mean over pairs of |softmax - one-hot|: what the gradients are sums of, where these nearly cancel."""
    return float((logits.detach().softmax(1) - F.one_hot(label, logits.shape[1])).abs().sum(1).mean())


def assert_same_gradients(ours, theirs, tolerance, at_least=0.0):
    """On one scale for all tensors: some, b_K above all, have gradients that are zero but for rounding."""
    largest = max(at_least, *(float(g.abs().max()) for g in theirs.values()))
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, tolerance, largest)


def assert_vmap_is_a_loop(forward, each, pairs, tolerance=1e-12):
    """Stacked weights under vmap: the logits and gradients of each in turn."""
    left, right, label = pairs
    stacked = {name: torch.stack([weights[name] for weights in each]) for name in each[0]}

    def loss(weights):
        return F.cross_entropy(forward(weights, left, right), label)

    logits = torch.func.vmap(lambda w: forward(w, left, right))(stacked)
    slopes = torch.func.vmap(torch.func.grad(loss))(stacked)
    for i, weights in enumerate(each):
        assert_close(logits[i], forward(weights, left, right), tolerance)
        mine = {name: slope[i] for name, slope in slopes.items()}
        assert_same_gradients(mine, gradients(forward, weights, left, right, label), tolerance)
