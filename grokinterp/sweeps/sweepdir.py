"""The folder of a sweep: the only code that spells its names. The runs in it are ordinary run directories.

recipe.json outcomes.json lock logs/NAME.log NAME/ results/part-0000.parquet
"""

from collections.abc import Sequence
from pathlib import Path

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import write_json
from grokinterp.runs.rundir import RunDir
from grokinterp.sweeps.recipe import Recipe
from grokinterp.sweeps.worker import Job

_OURS = ("logs", "results", "recipe.json", "outcomes.json", "lock")


class SweepDir:
    """Paths of a sweep."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def lock_path(self) -> Path:
        """Held by the process that hands out the runs."""
        return self.root / "lock"

    @property
    def recipe_path(self) -> Path:
        """The recipe that was run last."""
        return self.root / "recipe.json"

    @property
    def outcomes_path(self) -> Path:
        """How each of its runs ended."""
        return self.root / "outcomes.json"

    @property
    def results(self) -> Path:
        """The parquet dataset of one row a run."""
        return self.root / "results"

    def run_path(self, name: str) -> Path:
        """The run directory of a run."""
        return self.root / name

    def log_path(self, name: str) -> Path:
        """What a run printed."""
        return self.root / "logs" / f"{name}.log"

    def prepare(self, recipe: Recipe, configs: Sequence[RunConfig]) -> None:
        """Make the folder and keep the recipe.

        Raises:
            GrokinterpError: a run lies there, or a file, or a run is called like one of the sweep's own files.
        """
        if RunDir(self.root).exists():
            raise GrokinterpError(f"{self.root} is a run; choose another --out for the sweep")
        if self.root.exists() and not self.root.is_dir():
            raise GrokinterpError(f"{self.root} is a file; choose another --out for the sweep")
        taken = next((config.name for config in configs if config.name in _OURS), None)
        if taken is not None:
            raise GrokinterpError(f"a run called {taken!r} would be in the sweep's way; give the variants other names")
        self.root.mkdir(parents=True, exist_ok=True)
        write_json(self.recipe_path, recipe.model_dump(mode="json"))

    def has_begun(self, job: Job) -> bool:
        """Whether a worker had taken a job up when it was lost."""
        path = Path(job.log)
        return path.exists() and job.begun_line in path.read_text(encoding="utf-8", errors="replace")
