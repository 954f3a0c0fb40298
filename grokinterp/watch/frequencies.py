"""The key frequencies of a checkpoint in numpy, by the rule that the package uses everywhere else."""

from dataclasses import dataclass

import numpy as np

from grokinterp.runs.rundir import RunDir

THRESHOLD = 0.25
"""That of `harmonics.keys`, which needs torch; a test holds the two together."""


@dataclass(frozen=True)
class Keys:
    """The key frequencies of the checkpoint at `step`, of `n` frequencies that there are."""

    ks: tuple[int, ...]
    n: int
    step: int


def key_frequencies(rundir: RunDir, step: int) -> Keys | None:
    """The key frequencies of a transformer's checkpoint by the W_L rule, or None where there are none.

    With W_L = W_out W_U of the last block, its columns (one an answer) in the order in which the operation is
    addition mod n, and X_k the discrete Fourier transform over the answers: the k = 1..floor(n/2) with
    c_k || X_k || > THRESHOLD max_j c_j || X_j ||, c = sqrt(2), and 1 for k = n/2.

    **Differs:** from `harmonics.keys.matrix_rule` on W_L only in using numpy's FFT.
    **Known values:** those of `Snapshot.own_keys` at every checkpoint of a run.

    Returns:
        None for an operation that is no addition in any order, a model without W_out, or files that are damaged
        or gone: they are being replaced, or `grokinterp verify` names them.
    """
    import safetensors

    try:
        with safetensors.safe_open(rundir.task_path, framework="numpy") as task:
            if not (task.metadata() or {}).get("coordinates"):
                return None
            order = task.get_tensor("answer")
        with safetensors.safe_open(rundir.checkpoint_path(step), framework="numpy") as weights:
            blocks = [name for name in weights.keys() if name.endswith(".mlp.W_out")]  # noqa: SIM118
            if not blocks or len(order) < 2:
                return None
            w_out = weights.get_tensor(max(blocks, key=lambda name: int(name.split(".")[1]))).astype(np.float64)
            w_u = weights.get_tensor("unembed.W_U").astype(np.float64)
        return Keys(_above(w_out @ w_u[:, order]), len(order) // 2, step)
    except (safetensors.SafetensorError, OSError, ValueError, IndexError):
        return None


def _above(by_answer: np.ndarray) -> tuple[int, ...]:
    """The frequencies along the last axis whose norm is above the threshold."""
    n = by_answer.shape[-1]
    norms = np.linalg.norm(np.fft.rfft(by_answer, axis=-1), axis=0)[1:] * np.sqrt(2)
    if n % 2 == 0:
        norms[-1] /= np.sqrt(2)  # cos and sin are one there
    return tuple((np.flatnonzero(norms > THRESHOLD * norms.max()) + 1).tolist())
