"""Principal components of symbols, whether they are circles, and what noise would give."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int


def principal_scores(
    rows: Float[np.ndarray, "n d"], n_components: int
) -> tuple[Float[np.ndarray, "n q"], Float[np.ndarray, " q"]]:
    """PCA scores and the shares of variance of the first q = min(n_components, n, d) components."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components=min(n_components, *rows.shape), svd_solver="covariance_eigh")
    scores = pca.fit_transform(rows)
    return scores, pca.explained_variance_ratio_.clip(0, 1)


def circularity(scores: Float[np.ndarray, "n q"]) -> tuple[Float[np.ndarray, " q"], Int[np.ndarray, " q"]]:
    """How much each column is one cosine over the symbols, and of which frequency.

    circularity = min(1, max_k 2 |sum_t v_t e^{2 pi i k t / n}|^2 / (n |v|^2)), k = 1..floor(n/2).

    **Paper:** Zhong et al. 2023 (arXiv 2306.17844), who average it over the first four components.
    **Known values:** the coordinates of a regular n-gon: 1.
    """
    n = scores.shape[0]
    power = np.abs(np.fft.rfft(scores, axis=0)[1:]) ** 2
    norm = n * (scores**2).sum(axis=0)
    share = np.where(norm > 0, 2 * power / np.where(norm > 0, norm, 1), 0.0)
    return np.minimum(share.max(axis=0), 1.0), share.argmax(axis=0) + 1


@lru_cache(maxsize=16)
def null_quantiles(n: int, d: int, n_components: int, draws: int, seed: int) -> tuple[list[float], list[float]]:
    """95 % quantiles of share and circularity, component by component, for Gaussian matrices."""
    rng = np.random.default_rng(seed)
    shares, circles = [], []
    for _ in range(draws):
        scores, share = principal_scores(rng.standard_normal((n, d)), n_components)
        shares.append(share)
        circles.append(circularity(scores)[0])
    return np.quantile(shares, 0.95, axis=0).tolist(), np.quantile(circles, 0.95, axis=0).tolist()
