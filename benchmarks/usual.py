"""The baseline: the training loop that everybody writes with TransformerLens, as in its grokking demo.

One layer, width 128, 4 heads, 512 neurons, no LayerNorm, biases frozen; full batch; AdamW at 1e-3 with decay 1 and
betas (0.9, 0.98); log softmax in float64; the test loss at every epoch.
"""

import warnings

import torch
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig

import grokinterp as gi


def usual_model(p: int) -> HookedTransformer:
    """The demo's model for a modulus."""
    config = HookedTransformerConfig(
        n_layers=1,
        n_heads=4,
        d_model=128,
        d_head=32,
        d_mlp=512,
        act_fn="relu",
        normalization_type=None,
        d_vocab=p + 1,
        d_vocab_out=p,
        n_ctx=3,
        seed=999,
        device="cpu",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = HookedTransformer(config)
    for name, parameter in model.named_parameters():
        if "b_" in name:
            parameter.requires_grad = False
    return model


class UsualLoop:
    """The loop, on the split of a task."""

    def __init__(self, config: gi.RunConfig) -> None:
        """`config` says the modulus and the split."""
        from grokinterp.tasks import draw_train_mask

        task = gi.build_task(config.task)
        mask = torch.from_numpy(draw_train_mask(task, config.task.frac_train, config.task.split_seed)).flatten()
        a, b = (torch.from_numpy(x) for x in task.pairs())
        tokens = torch.stack([a, b, torch.full_like(a, task.n_answers)], dim=1)
        labels = torch.from_numpy(task.table).flatten()
        self.train, self.train_labels = tokens[mask], labels[mask]
        self.test, self.test_labels = tokens[~mask], labels[~mask]
        self.model = usual_model(task.n_answers)
        settings = {"lr": 1e-3, "weight_decay": 1.0, "betas": (0.9, 0.98)}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), **settings)  # ty: ignore[invalid-argument-type]

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy at the last position, in float64."""
        logits = self.model(tokens)[:, -1].to(torch.float64)
        log_p = logits.log_softmax(dim=-1)
        return -log_p.gather(dim=-1, index=labels[:, None])[:, 0].mean()

    def step(self) -> None:
        """One update."""
        loss = self.loss(self.train, self.train_labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def epoch(self) -> None:
        """One update and the test loss."""
        self.step()
        with torch.inference_mode():
            self.loss(self.test, self.test_labels).item()
