"""TensorBoard: event files that `tensorboard --logdir RUN/tracking` shows."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoardFiles:
    """One scalar a metric, under its name in metrics.jsonl (in float32, as TensorBoard keeps them), and the config.

    Going on with a run writes its curves anew from step 0: their times of day are then those of the new file.
    """

    name = "tensorboard"

    def start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Replace the event file of an earlier part."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies warn about each other at import
            from torch.utils.tensorboard import SummaryWriter
        place = folder / self.name
        for earlier in place.glob("events.out.tfevents.*"):
            earlier.unlink()
        # A TensorBoard that is open and has read the earlier file drops what it read, from step 0 on.
        self._writer = SummaryWriter(str(place), purge_step=0)
        self._writer.add_text("config", f"```json\n{json.dumps(config, indent=2)}\n```", 0)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one evaluation through to the file, where a killed process leaves it."""
        for tag, value in metrics.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def finish(self) -> None:
        """Close the file."""
        self._writer.close()
