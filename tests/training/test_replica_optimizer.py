"""The optimizer of all replicas against torch's, one replica at a time."""

import copy

import pytest
import torch

from grokinterp.config import OptimizerConfig
from grokinterp.training.optimizers import build_optimizer, learning_rate, set_rates, weight_decay
from grokinterp.training.replica_optimizer import ReplicaOptimizer

SHAPES = {"a": (3, 4), "b": (5,), "c": (2, 3, 2)}
RATES = (0.03, 0.1, 0.002)
CONFIGS = {
    "adamw": [{"lr": lr, "weight_decay": decay} for lr, decay in zip(RATES, (1.0, 0.0, 3.0), strict=True)],
    "adamw without decay": [{"lr": lr, "weight_decay": 0.0, "betas": (0.5, 0.9)} for lr in RATES],
    "adamw, decay falling": [{"lr": lr, "weight_decay": 2.0, "final_decay": 0.1} for lr in RATES],
    "adam": [{"name": "adam", "lr": lr, "eps": 1e-6} for lr in RATES],
    "sgd": [{"name": "sgd", "lr": lr} for lr in RATES],
    "sgd with momentum": [{"name": "sgd", "lr": lr, "momentum": 0.9} for lr in RATES],
    "sgd with decay": [
        {"name": "sgd", "lr": lr, "weight_decay": d} for lr, d in zip(RATES, (0.0, 0.1, 1), strict=True)
    ],
    "sgd with both, cosine": [
        {"name": "sgd", "lr": lr, "weight_decay": 0.2, "momentum": 0.5, "schedule": "cosine"} for lr in RATES
    ],
}
STEPS = 30


def configs_of(name):
    return [OptimizerConfig(**{"warmup_steps": 3, **changes}) for changes in CONFIGS[name]]


class Walks:
    """The replicas together and each alone, from the same weights, with the same gradients of any size."""

    def __init__(self, configs, dtype=torch.float64):
        self.configs, self.stream = configs, torch.Generator().manual_seed(4)
        start = {name: self.draw(3, *shape).to(dtype) for name, shape in SHAPES.items()}
        self.together = {name: weight.clone().requires_grad_() for name, weight in start.items()}
        self.alone = [[start[name][r].clone().requires_grad_() for name in SHAPES] for r in range(3)]
        self.replicas = ReplicaOptimizer(configs, self.together, STEPS)
        self.torchs = [build_optimizer(c, w) for c, w in zip(configs, self.alone, strict=True)]

    def draw(self, *shape):
        return torch.randn(shape, dtype=torch.float64, generator=self.stream)

    def step(self, update):
        for i, weight in enumerate(self.together.values()):
            weight.grad = (self.draw(*weight.shape) * 10 ** self.draw(*weight.shape)).to(weight.dtype)
            for r in range(3):
                self.alone[r][i].grad = weight.grad[r].clone()
        self.replicas.step(update)
        for config, optimizer in zip(self.configs, self.torchs, strict=True):
            set_rates(optimizer, learning_rate(config, update, STEPS), weight_decay(config, update, STEPS))
            optimizer.step()

    def distance(self):
        """The largest difference of any weight, relative to it where it is above 1."""
        pairs = [(w[r], self.alone[r][i]) for i, w in enumerate(self.together.values()) for r in range(3)]
        return max(float(((one - other).abs() / other.abs().clamp(min=1)).detach().max()) for one, other in pairs)


@pytest.mark.parametrize("name", CONFIGS)
def test_each_replica_walks_as_torch_walks_it_alone(name):
    walks = Walks(configs_of(name))
    for update in range(STEPS):
        walks.step(update)
        assert walks.distance() < 1e-14


@pytest.mark.parametrize("name", ["adamw", "sgd with momentum"])
def test_in_float32_it_stays_within_rounding(name):
    walks = Walks(configs_of(name), torch.float32)
    for update in range(STEPS):
        walks.step(update)
    assert walks.distance() < 2e-6


def test_a_weight_without_a_gradient_stays_as_torch_leaves_it():
    walks = Walks(configs_of("adamw"))
    walks.step(0)
    before = {name: weight.detach().clone() for name, weight in walks.together.items()}
    for weight in walks.together.values():
        weight.grad = None
    walks.replicas.step(1)
    assert all(torch.equal(weight, before[name]) for name, weight in walks.together.items())


@pytest.mark.parametrize("name", CONFIGS)
def test_the_state_of_a_replica_is_the_state_of_its_torch_optimizer(name):
    walks = Walks(configs_of(name))
    blank = [copy.deepcopy(optimizer.state_dict()) for optimizer in walks.torchs]
    for update in range(7):
        walks.step(update)
    for r, optimizer in enumerate(walks.torchs):
        mine, theirs = walks.replicas.state(r, blank[r]), optimizer.state_dict()
        assert mine["param_groups"] == theirs["param_groups"]
        kept = {index: state for index, state in theirs["state"].items() if state}
        assert mine["state"].keys() == kept.keys()
        for index, state in kept.items():
            assert mine["state"][index].keys() == state.keys()
            for key, value in state.items():
                assert mine["state"][index][key].dtype == value.dtype
                assert torch.allclose(mine["state"][index][key], value, rtol=1e-13, atol=1e-15), key


@pytest.mark.parametrize("name", CONFIGS)
def test_it_goes_on_from_torch_states_and_torch_from_its_own(name):
    walks = Walks(configs_of(name))
    for update in range(7):
        walks.step(update)
    states = [walks.replicas.state(r, optimizer.state_dict()) for r, optimizer in enumerate(walks.torchs)]
    walks.replicas = ReplicaOptimizer(walks.configs, walks.together, STEPS)
    walks.replicas.load([copy.deepcopy(optimizer.state_dict()) for optimizer in walks.torchs])
    for optimizer, state in zip(walks.torchs, states, strict=True):
        optimizer.load_state_dict(state)
    for update in range(7, STEPS):
        walks.step(update)
    assert walks.distance() < 1e-14


def test_what_is_kept_of_one_replica_shares_no_memory_with_what_goes_on():
    walks = Walks(configs_of("adamw"))
    walks.step(0)
    state = walks.replicas.state(1, walks.torchs[1].state_dict())
    before = copy.deepcopy(state)
    walks.step(1)
    for index, kept in state["state"].items():
        for key, value in kept.items():
            assert torch.equal(value, before["state"][index][key])
            assert value.untyped_storage().nbytes() == value.nbytes  # else a saved state would hold all replicas
