"""A class that PyTorch Lightning writes into checkpoints, known by name so that no code of theirs is needed or run.

Lightning before 1.5 kept the state of a callback under its class, so that torch.load(weights_only=True) refuses
its checkpoints, though the class is a key there and nothing else. Under its name an empty class stands here.
"""

from typing import Any


class Callback:
    """Stands for Lightning's ModelCheckpoint, the key of its state."""


STAND_INS: list[Any] = [(Callback, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")]
"""For torch.serialization.safe_globals: what stands for which class."""
