"""Networks that answer every pair as a table says, in the layouts of other people's MLPs."""

import torch


def lookup(table, dtype=torch.float64, sharp=5.0):
    """W_x, W_y (n, n), W (2n, n^2), W_U (n^2, n) of relu([W_x[x] W_y[y]] W) W_U: one neuron a pair.

    Its neuron for (a, b) sees 1 for x = a, 1 for y = b, and -1 always, for one of W_x's entries is 1.
    """
    n = len(table)
    eye, pairs = torch.eye(n, dtype=dtype), torch.arange(n * n)
    w = torch.cat([eye[:, pairs // n] - 1, eye[:, pairs % n]])
    w_u = sharp * eye[torch.tensor(table).reshape(-1)]
    return {"W_x": eye.clone(), "W_y": eye.clone(), "W": w, "W_U": w_u}


def logits_of(state):
    """logits[x, y, c] of Chughtai et al.'s OneLayerMLP, one pair at a time."""
    n = len(state["W_x"])
    found = torch.zeros(n, n, state["W_U"].shape[1], dtype=torch.float64)
    for x in range(n):
        for y in range(n):
            stacked = torch.cat([state["W_x"][x], state["W_y"][y]]).double()
            found[x, y] = torch.relu(stacked @ state["W"].double()) @ state["W_U"].double()
    return found


def logits_by_us(imported):
    """logits[a, b, c] of what was imported, in our numbering."""
    from grokinterp.models.forward import build_forward
    from grokinterp.tasks import build_task

    task = build_task(imported.config.task)
    weights = {name: w.double() for name, w in imported.weights(imported.steps[-1]).items()}
    n = len(task.table)
    left, right = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    forward = build_forward(imported.config.model, task.layout, task.n_answers, dtype=torch.float64)
    return forward(weights, left, right).reshape(n, n, -1)
