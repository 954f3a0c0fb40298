"""Weights & Biases, offline unless the user's own environment says otherwise (WANDB_MODE)."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class WandbRun:
    """One wandb run, under the metrics' names in metrics.jsonl; `wandb sync` uploads it if ever wanted.

    It has one id for life. Offline, going on writes the run's one folder anew from step 0; online, wandb knows the
    steps that it has. Neither the machine, the code nor what is printed is recorded. WANDB_PROJECT names the
    project.
    """

    name = "wandb"

    def start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Begin the run, or go on with the one that lies in the folder."""
        mode = os.environ.get("WANDB_MODE", "offline")
        offline = mode in ("offline", "dryrun")
        if offline:  # else wandb reports its own errors to its makers
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        earlier = sorted((folder / self.name).glob("*run-*-*"), key=lambda path: path.name.removeprefix("offline-"))
        known = earlier[-1].name.rpartition("-")[2] if earlier else None
        folder.mkdir(parents=True, exist_ok=True)
        for path in earlier if offline else ():
            shutil.rmtree(path)
        self._run = wandb.init(
            dir=str(folder),
            project=os.environ.get("WANDB_PROJECT", "grokinterp"),
            name=config["name"],
            config=dict(config),
            id=known,
            mode=mode,  # ty: ignore[invalid-argument-type]
            resume=None if offline else "allow",
            reinit="create_new",
            settings=_settings(),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """One evaluation, unless wandb has it from before."""
        if step >= self._run.step:
            self._run.log(dict(metrics), step=step)

    def finish(self) -> None:
        """Close the run."""
        self._run.finish()


def _settings() -> Any:
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
