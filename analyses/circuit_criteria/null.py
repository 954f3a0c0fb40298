"""The null: the same network trained as long on shuffled labels, which it can only memorise."""

from pathlib import Path

import numpy as np
import torch

import grokinterp as gi


def train_on_shuffled_labels(config: gi.RunConfig, folder: Path, *, steps: int, every: int = 100) -> gi.Run:
    """A run directory of `config` whose training labels are a seeded permutation of the right ones."""
    torch.manual_seed(config.train.seed)
    with gi.record(folder, config) as recorder:
        a, b = recorder.train_mask.nonzero()
        tokens = torch.from_numpy(recorder.task.layout.tokens(a, b))
        answers = torch.from_numpy(np.random.default_rng(0).permutation(recorder.task.table[a, b]))
        model, settings = gi.build_model(config), config.optimizer
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=settings.lr, weight_decay=settings.weight_decay, betas=tuple(settings.betas)
        )
        for step in range(steps + 1):
            logits = model(tokens)[:, -1]
            loss = torch.nn.functional.cross_entropy(logits.double(), answers)
            if step % every == 0:
                accuracy = (logits.argmax(-1) == answers).float().mean().item()
                recorder.save(step, model, {"train_loss": loss.item(), "train_accuracy": accuracy})
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return gi.open(folder)
