"""The Hessian of a loss through products with vectors: eigenvalues at either end, and the trace."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from grokinterp.seeding import generator

Product = Callable[[Tensor], Tensor]
"""v -> H v, for a vector of the length and dtype of the point."""

DENSE_BELOW = 60
"""Up to this many weights the matrix is formed: Lanczos needs room for its basis."""


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues from one end of the spectrum, the outermost first.

    Attributes:
        values: Rayleigh quotients v^T H v of the unit vectors found.
        residuals: |H v - value v|: within this of each value lies an eigenvalue of H.
        n_products: Products with H that it took.
    """

    values: Float[np.ndarray, " k"]
    residuals: Float[np.ndarray, " k"]
    n_products: int


@dataclass(frozen=True)
class Trace:
    """An estimate of the trace and its standard error over the probes, None for one probe."""

    value: float
    standard_error: float | None


def hessian_product(function: Callable[[Tensor], Tensor], x: Float[Tensor, " n"]) -> Product:
    """v -> H v at x, as the vector-Jacobian product of the gradient: H is symmetric.

    The graph of the gradient is built once and each product runs back through it, which is about half
    the work of pushing a tangent through a new gradient each time. A piecewise linear activation
    contributes nothing at its kinks.
    """
    product = torch.func.vjp(torch.func.grad(function), x)[1]
    return lambda v: product(v)[0]


def outer_eigenvalues(
    product: Product,
    x: Float[Tensor, " n"],
    *,
    k: int,
    end: Literal["largest", "smallest"],
    tolerance: float,
    max_products: int,
    seed: int,
    shift: float = 0.0,
) -> Eigenpairs:
    """The k largest or smallest (most negative) eigenvalues of H by implicitly restarted Lanczos.

    The start vector is a seeded Gaussian v. ARPACK's stopping rule has the absolute floor eps^(2/3), which
    would accept anything for a Hessian that is tiny as a whole, so it sees H / |H v|, |v| = 1.
    Where |H v| = 0 the Hessian is zero, and so are the eigenvalues. If `max_products` do not suffice,
    those eigenvalues that did converge come back, possibly none.

    Args:
        product: v -> H v.
        x: The point; it gives the length, dtype and device.
        k: How many; at most len(x), less one above DENSE_BELOW.
        end: Which end of the spectrum.
        tolerance: Residual relative to the eigenvalue at which one counts as found.
        max_products: Roughly; a restart that has begun is finished.
        seed: Of the start vector.
        shift: Lanczos sees H - shift, so that the tolerance is relative to |eigenvalue - shift|. With the
            largest eigenvalue here the smallest can be found also where it is almost 0.
    """
    n = len(x)
    calls = 0

    def multiply(v: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return product(torch.tensor(v).to(x)).double().cpu().numpy()

    start = torch.randn(n, generator=generator("hessian start", seed), dtype=torch.float64).numpy()
    start /= np.linalg.norm(start)
    scale = float(np.linalg.norm(multiply(start)))
    if scale == 0:
        vectors = np.eye(n, min(k, n))
    elif n <= DENSE_BELOW:
        matrix = np.stack([multiply(unit) for unit in np.eye(n)])
        vectors = np.linalg.eigh((matrix + matrix.T) / 2)[1]
        vectors = (vectors[:, ::-1] if end == "largest" else vectors)[:, :k]
    else:
        operator = _Operator(lambda v: (multiply(v) - shift * v) / scale, n)
        vectors = _lanczos(operator, start, k, end, tolerance, max_products)
    pairs = []
    for v in vectors.T:
        hv = multiply(v)
        value = float(v @ hv)
        pairs.append((value, float(np.linalg.norm(hv - value * v))))
    pairs.sort(reverse=end == "largest")
    found = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return Eigenpairs(found[:, 0], found[:, 1], calls)


class _Operator(LinearOperator):
    """A symmetric function of a vector, as eigsh wants it."""

    def __init__(self, multiply: Callable[[np.ndarray], np.ndarray], n: int) -> None:
        super().__init__(np.dtype(np.float64), (n, n))
        self._multiply = multiply

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._multiply(np.ravel(x))


def _lanczos(
    operator: LinearOperator, start: np.ndarray, k: int, end: str, tolerance: float, max_products: int
) -> Float[np.ndarray, "n found"]:
    """Unit eigenvectors found by eigsh."""
    n = len(start)
    k = min(k, n - 1)
    basis = min(n, max(2 * k + 1, 20))
    # a restart keeps k vectors of the basis, so it costs basis - k products
    restarts = max(1, math.ceil((max_products - basis) / (basis - k)))
    # where the Krylov space is exhausted ARPACK goes on from a random vector: seeded, from scipy 1.17 on by us
    seeded: dict[str, Any] = {"rng": 0} if "rng" in inspect.signature(eigsh).parameters else {}
    which = "LA" if end == "largest" else "SA"
    try:
        return eigsh(operator, k, which=which, v0=start, tol=tolerance, ncv=basis, maxiter=restarts, **seeded)[1]
    except ArpackNoConvergence as error:
        return error.eigenvectors


def trace(product: Product, x: Float[Tensor, " n"], *, n_probes: int, seed: int) -> Trace:
    """The trace by Hutchinson's estimator, (1/m) sum_j z_j^T H z_j with z_j of independent random signs.

    Unbiased for any symmetric H. The variance of a probe is 2 sum_{i != j} H_ij^2, so a diagonal H takes
    one. The standard error is the standard deviation over the m probes over sqrt(m), itself known to
    about 1 / sqrt(2 (m - 1)).

    **Paper:** Hutchinson 1990.
    **Differs:** from Hutch++ (Meyer et al. 2021), which takes the large eigenvalues exactly: the spectrum
    of these networks decays too slowly for that. At equal cost (30 products, p = 31) the standard errors
    are 3.0, 3.1, 3.0 % of the trace (memorised, grokked, end), Hutch++'s 4.4, 2.7, 4.0 %.
    """
    stream = generator("trace probes", seed)
    samples = []
    for _ in range(n_probes):
        z = (2 * torch.randint(2, (len(x),), generator=stream) - 1).to(x)
        samples.append(float(z.double() @ product(z).double()))
    values = np.array(samples)
    error = float(values.std(ddof=1)) / math.sqrt(n_probes) if n_probes > 1 else None
    return Trace(float(values.mean()), error)
