import math

import numpy as np
import pytest
import torch
from oracles import positive_matrix, quadratic

from grokinterp.landscape.sgld import GROWTH, REACH, Sampling, sample, split_r_hat, why_not_local
from grokinterp.seeding import generator


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chains(function, w0, *, nbeta=10.0, gamma=5.0, epsilon=1e-2, n_chains=64, n_draws=600, burn_in=300, seed=0):
    options = {"gamma": gamma, "epsilon": epsilon, "n_chains": n_chains, "n_draws": n_draws, "burn_in": burn_in}
    return sample(function, w0, nbeta=nbeta, seed=seed, **options)


def stationary(h: torch.Tensor, nbeta: float, gamma: float, epsilon: float) -> tuple[float, float]:
    """llc and E|w - w0|^2 of the sampler on sum h_i x_i^2 / 2, by following the variance of each x_i until
    it no longer changes."""
    variance = torch.zeros_like(h)
    for _ in range(200_000):
        after = (1 - epsilon / 2 * (nbeta * h + gamma)) ** 2 * variance + epsilon
        if torch.equal(after, variance):
            break
        variance = after
    return float(nbeta * (h * variance).sum() / 2), float(variance.sum())


def closed_form(h: torch.Tensor, nbeta: float, gamma: float, epsilon: float) -> tuple[float, float]:
    a = nbeta * h + gamma
    return float((nbeta * h / (a * (1 - epsilon * a / 4))).sum() / 2), float((1 / (a * (1 - epsilon * a / 4))).sum())


SPECTRUM = torch.tensor([0.0, 0.05, 0.4, 2.0, 6.0], dtype=torch.float64)
SETTINGS = [(10.0, 5.0, 1e-2), (10.0, 5.0, 4e-2), (100.0, 1.0, 2e-3), (0.5, 20.0, 0.05)]


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_closed_form_is_the_stationary_value_of_this_update(setting):
    assert stationary(SPECTRUM, *setting) == pytest.approx(closed_form(SPECTRUM, *setting), rel=1e-9)


@pytest.mark.parametrize("setting", SETTINGS)
def test_chains_on_a_quadratic_give_the_exact_llc_and_distance(setting):
    nbeta, gamma, epsilon = setting
    rotation = torch.linalg.qr(normal(5, 5, seed=1))[0]
    w0 = normal(5, seed=2)
    f = quadratic(rotation @ torch.diag(SPECTRUM) @ rotation.T, w0)
    burn_in = int(4 / (epsilon * gamma))
    found = chains(lambda w: 3 + f(w), w0, nbeta=nbeta, gamma=gamma, epsilon=epsilon, n_chains=100, burn_in=burn_in)
    llc, squared = closed_form(SPECTRUM, *setting)
    assert found.start_loss == 3
    assert abs(found.llc - llc) < 4 * found.standard_error
    assert found.standard_error < 0.03 * llc
    each = found.distances.square().mean(dim=1)
    assert abs(float(each.mean()) - squared) < 4 * float(each.std()) / 10
    assert squared < found.prior_radius**2
    assert why_not_local(found, 3 + 2 * llc / nbeta) is None


def test_a_large_step_size_is_seen_in_the_llc_and_not_explained_by_the_continuous_limit():
    h, setting = torch.full((8,), 10.0, dtype=torch.float64), (10.0, 5.0, 2e-2)
    found = chains(quadratic(torch.diag(h)), 0 * h, nbeta=10.0, gamma=5.0, epsilon=2e-2)
    exact, continuous = closed_form(h, *setting)[0], closed_form(h, 10.0, 5.0, 0.0)[0]
    assert exact > 2 * continuous
    assert abs(found.llc - exact) < 4 * found.standard_error
    assert abs(found.llc - continuous) > 20 * found.standard_error


@pytest.mark.parametrize("d", [1, 2, 7])
def test_llc_is_half_the_dimension_only_where_the_pull_and_the_steps_are_small(d):
    w0 = torch.zeros(d, dtype=torch.float64)
    f = quadratic(torch.eye(d, dtype=torch.float64))
    weak = chains(f, w0, nbeta=1000.0, gamma=1.0, epsilon=1e-4, n_draws=600)
    assert abs(weak.llc - d / 2) < 4 * weak.standard_error + 0.03 * d / 2  # epsilon a / 4 = 0.025
    strong = chains(f, w0, nbeta=1000.0, gamma=1000.0, epsilon=1e-4)
    assert abs(strong.llc - d / 4) < 4 * strong.standard_error + 0.06 * d / 4
    assert strong.llc < 0.7 * d / 2


def test_chains_are_those_of_the_update_written_out_one_by_one():
    matrix, w0 = positive_matrix(4, 3), normal(4, seed=5)
    f = lambda w: (quadratic(matrix)(w) - 1).square()  # noqa: E731
    nbeta, gamma, epsilon, n_chains = 7.0, 3.0, 1e-2, 3
    found = sample(f, w0, nbeta=nbeta, gamma=gamma, epsilon=epsilon, n_chains=n_chains, n_draws=6, burn_in=4, seed=11)
    stream = generator("sgld", 11)
    noise = torch.stack([torch.randn(n_chains, 4, generator=stream, dtype=torch.float64) for _ in range(10)])
    for c in range(n_chains):
        w = w0.clone()
        for i in range(10):
            loss = float(f(w))
            if i >= 4:
                assert float(found.losses[c, i - 4]) == pytest.approx(loss, rel=1e-12)
                assert float(found.distances[c, i - 4]) == pytest.approx(float((w - w0).norm()), rel=1e-12)
            gradient = 2 * (quadratic(matrix)(w) - 1) * (matrix @ w)
            w = w - epsilon / 2 * (gamma * (w - w0) + nbeta * gradient) + math.sqrt(epsilon) * noise[i, c]


def test_the_same_seed_gives_the_same_chains_and_another_seed_others_that_agree():
    f, w0 = quadratic(positive_matrix(3, 1)), torch.zeros(3, dtype=torch.float64)
    first, again, other = (chains(f, w0, n_draws=100, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.losses, again.losses)
    assert not torch.equal(first.losses, other.losses)
    assert abs(first.llc - other.llc) < 4 * math.hypot(first.standard_error, other.standard_error)


def test_w0_is_left_as_it_is_and_its_dtype_is_kept():
    w0 = normal(5, seed=1).float()
    before = w0.clone()
    found = chains(quadratic(positive_matrix(5, 1).float()), w0, n_draws=5, burn_in=0, n_chains=2)
    assert torch.equal(w0, before)
    assert found.distances[:, 0].tolist() == [0, 0]  # without burn-in the first draw is w0
    assert found.losses.dtype == torch.float64


def test_a_pull_that_overshoots_by_itself_is_refused():
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"epsilon \* gamma = 4 must be below 4"):
        chains(lambda w: w @ w, one, gamma=4.0, epsilon=1.0)


# Reduced-rank regression ---------------------------------------------------------------------


def regression(a0: torch.Tensor, b0: torch.Tensor):
    """Population loss |b a^T - b0 a0^T|^2 / 2 of y = b (a . x) + noise: one hidden unit."""
    truth, m = torch.outer(b0, a0), len(a0)

    def loss(w):
        return 0.5 * (torch.outer(w[m:], w[:m]) - truth).square().sum()

    return loss


def learning_coefficient(m: int, n: int, hidden: int, rank: int) -> float:
    """Aoyagi and Watanabe 2005: M inputs, N outputs, H hidden units, true rank r."""
    if n + hidden < m + rank:
        return (hidden * n - hidden * rank + m * rank) / 2
    if m + hidden < n + rank:
        return (hidden * m - hidden * rank + n * rank) / 2
    if m + n < hidden + rank:
        return m * n / 2
    odd = (m + n + hidden + rank) % 2
    return (2 * (hidden + rank) * (m + n) - (m - n) ** 2 - (hidden + rank) ** 2 + odd) / 8


def posterior_llc(m: int, n: int, nbeta: float, gamma: float) -> float:
    """nbeta E[|a|^2 |b|^2 / 2] under exp(-nbeta |a|^2 |b|^2 / 2 - gamma (|a|^2 + |b|^2) / 2), by quadrature.

    Given u = |a|^2 the density of |b|^2 is a Gamma's with rate (nbeta u + gamma) / 2 and shape n / 2.
    """
    y = np.linspace(-30, 8, 100_001)
    u = np.exp(y)
    rate = (nbeta * u + gamma) / 2
    log_density = m / 2 * y - gamma * u / 2 - n / 2 * np.log(rate)
    density = np.exp(log_density - log_density.max())
    return float((density * n / 2 * (nbeta * u / 2) / rate).sum() / density.sum())


def test_the_formula_has_the_values_it_is_known_for():
    assert learning_coefficient(4, 2, 1, 0) == 1
    assert learning_coefficient(3, 3, 1, 1) == 2.5
    assert learning_coefficient(5, 5, 5, 5) == 12.5  # regular: M N / 2


def test_the_exact_posterior_approaches_the_learning_coefficient_slowly_where_its_pole_is_double():
    single, double = ([posterior_llc(m, 2, nbeta, 1.0) for nbeta in (1e2, 1e4, 1e6)] for m in (4, 2))
    assert single == pytest.approx([0.981, 0.9996, 1.0], abs=1e-3)
    assert double == pytest.approx([0.794, 0.893, 0.928], abs=1e-3)  # lambda - (m - 1) / log(n beta) ..., m = 2
    assert learning_coefficient(2, 2, 1, 0) == 1


def test_at_a_singular_point_the_chains_give_the_exact_posteriors_llc():
    f, w0 = regression(torch.zeros(4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)), normal(6) * 0
    exact = posterior_llc(4, 2, 100.0, 2.0)
    assert abs(exact - learning_coefficient(4, 2, 1, 0)) < 0.06
    coarse, fine = (
        chains(f, w0, nbeta=100.0, gamma=2.0, epsilon=eps, n_chains=400, n_draws=n, burn_in=n)
        for eps, n in ((4e-3, 700), (2e-3, 1400))
    )
    assert coarse.llc > fine.llc > exact  # steps of finite size
    extrapolated = 2 * fine.llc - coarse.llc
    error = math.hypot(2 * fine.standard_error, coarse.standard_error)
    assert abs(extrapolated - exact) < 4 * error
    assert error < 0.03
    assert why_not_local(fine, 1.0) is None


@pytest.mark.parametrize(("nbeta", "gamma", "epsilon"), [(1000.0, 10.0, 1e-4), (5000.0, 20.0, 2e-5)])
def test_at_a_true_rank_of_one_llc_is_five_halves(nbeta, gamma, epsilon):
    a0, b0 = torch.eye(3, dtype=torch.float64)[:2]
    found = chains(
        regression(a0, b0), torch.cat([a0, b0]), nbeta=nbeta, gamma=gamma, epsilon=epsilon, n_chains=200, burn_in=400
    )
    h = torch.tensor([1.0, 1, 1, 1, 2, 0], dtype=torch.float64)
    exact = closed_form(h, nbeta, gamma, epsilon)[0]  # of the quadratic at w0; the flat direction is a symmetry
    assert abs(found.llc - exact) < 4 * found.standard_error
    assert found.standard_error < 0.03
    assert abs(exact - learning_coefficient(3, 3, 1, 1)) < 0.07
    assert why_not_local(found, 1.0) is None


# Agreement of chains -------------------------------------------------------------------------


def test_r_hat_is_gelmans_on_half_chains():
    values = normal(3, 11, seed=4) + torch.arange(3.0)[:, None]
    halves = np.concatenate([values[:, :5].numpy(), values[:, 6:].numpy()])
    within, between = halves.var(axis=1, ddof=1).mean(), 5 * halves.mean(axis=1).var(ddof=1)
    assert split_r_hat(values) == pytest.approx(math.sqrt((4 / 5 * within + between / 5) / within))


def test_r_hat_is_near_one_for_chains_that_agree_and_large_for_levels_and_for_trends():
    noise = normal(4, 500, seed=1)
    assert split_r_hat(noise) < 1.01
    assert split_r_hat(noise + 2 * torch.arange(4.0)[:, None]) > 1.5
    assert split_r_hat(noise + torch.linspace(0, 6, 500)) > 1.5  # all alike, none settled


def test_r_hat_has_no_meaning_for_constants_and_for_fewer_than_four_draws():
    assert split_r_hat(torch.ones(4, 10, dtype=torch.float64)) is None
    assert split_r_hat(normal(4, 3)) is None
    assert split_r_hat(normal(1, 4)) is not None


def test_one_chain_has_no_standard_error():
    assert chains(quadratic(positive_matrix(2, 1)), normal(2), n_chains=1, n_draws=8).standard_error is None


# The verdict ---------------------------------------------------------------------------------

BOWL = quadratic(torch.diag(torch.linspace(0.1, 2, 50, dtype=torch.float64)))
CENTRE = torch.zeros(50, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(6))
def test_well_behaved_chains_are_local_in_two_and_in_fifty_dimensions(seed):
    assert why_not_local(chains(BOWL, CENTRE, n_chains=4, n_draws=200, burn_in=150, seed=seed), 10.0) is None
    bowl, centre = quadratic(torch.eye(2, dtype=torch.float64)), CENTRE[:2]
    assert why_not_local(chains(bowl, centre, n_chains=4, n_draws=200, burn_in=150, seed=seed), 10.0) is None


def test_a_flat_loss_is_local_at_the_priors_radius():
    found = chains(lambda w: 0 * w.sum(), CENTRE, n_draws=200)
    assert found.distance == pytest.approx(found.prior_radius, rel=0.01)
    assert found.llc == 0
    assert why_not_local(found, 1.0) is None


@pytest.mark.parametrize("epsilon", [0.15, 0.165, 0.3])
def test_step_sizes_near_and_beyond_stability_are_not_local(epsilon):
    assert epsilon * (10 * 2 + 5) > 3.5  # 4 is where the stiffest direction becomes unstable
    good = chains(BOWL, CENTRE, n_chains=4)
    found = chains(BOWL, CENTRE, n_chains=4, epsilon=epsilon)
    limit = 2 * good.mean_loss
    assert why_not_local(good, limit) is None
    assert why_not_local(found, limit) in ("loss", "diverged")


def test_chains_that_overflow_are_said_to_have_diverged():
    found = chains(lambda w: w.square().sum().square(), CENTRE + 1, n_chains=2, epsilon=0.5, n_draws=30, burn_in=5)
    assert not found.finite
    assert why_not_local(found, math.inf) == "diverged"


def test_chains_that_roll_off_a_hill_are_far_or_growing():
    hill = quadratic(-0.4 * torch.eye(50, dtype=torch.float64))
    far = chains(hill, CENTRE, n_chains=4)  # nbeta h + gamma = 1: radius sqrt(5) times the prior's
    assert far.distance > REACH * far.prior_radius
    assert why_not_local(far, 1.0) == "far"
    assert far.llc < 0
    slope = chains(lambda w: -w.sum(), CENTRE, n_chains=4, n_draws=60, burn_in=0, gamma=0.001)
    assert why_not_local(slope, 1.0) == "growing"


def test_a_burn_in_that_is_too_short_is_growing():
    short = chains(BOWL, CENTRE, n_chains=16, epsilon=1e-4, n_draws=400, burn_in=50)
    assert short.distance < short.prior_radius / 2
    assert why_not_local(short, 1.0) == "growing"


def test_a_step_up_within_chance_is_not_growth_and_one_in_all_chains_is():
    flat = torch.full((4, 8), 1.0, dtype=torch.float64)
    grown = flat.clone()
    grown[:, -2:] *= GROWTH + 0.01
    one = flat.clone()
    one[0, -2:] = 2.0
    verdicts = [
        why_not_local(Sampling(flat, distances, 1.0, 1.0, 1e-9, 1e-9, 1), 2.0) for distances in (flat, grown, one)
    ]
    assert verdicts == [None, "growing", None]
