"""The folder of a sweep: the only code that spells its names. The runs in it are ordinary run directories.

    recipe.json outcomes.json lock logs/NAME.log NAME/ results/part-0000.parquet slurm/

A recipe goes into a new or an empty folder, or into one that holds a sweep of which every run that was begun is a run
of this recipe too, under its name and with its config. So a recipe may be run again, may get more seeds, variants and
values, and may have other measures; whatever would leave runs of two recipes side by side is refused. (A second value
for a field of the grid that had one puts the field into the names, so that these are other runs.) Other files in the
folder of a sweep do not matter.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import refuse_file_in_the_way, temporary_name, write_json
from grokinterp.runs.rundir import RunDir
from grokinterp.sweeps.recipe import Recipe
from grokinterp.sweeps.worker import Job

_OURS = ("logs", "results", "recipe.json", "outcomes.json", "lock", "slurm")


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

    @property
    def logs(self) -> Path:
        """The folder of what runs printed."""
        return self.root / "logs"

    @property
    def slurm(self) -> Path:
        """Job files of Slurm."""
        return self.root / "slurm"

    def log_path(self, name: str) -> Path:
        """What a run printed."""
        return self.logs / f"{name}.log"

    def check(self, configs: Sequence[RunConfig]) -> None:
        """Whether these runs may be trained here; nothing is written.

        Raises:
            GrokinterpError: no, with the reason.
        """
        if RunDir(self.root).exists():
            raise GrokinterpError(f"{self.root} is a run; choose another --out for the sweep")
        taken = next((config.name for config in configs if config.name in _OURS), None)
        if taken is not None:
            raise GrokinterpError(f"a run called {taken!r} would be in the sweep's way; give the variants other names")
        refuse_file_in_the_way(self.root)
        if not self.root.exists():
            return
        if not self.recipe_path.is_file():
            self._refuse_what_is_no_sweep()
        if self.logs.exists() and not self.logs.is_dir():
            raise GrokinterpError(f"{self.logs} is a file, where the logs are to lie; move it away")
        by_name = {config.name: config for config in configs}
        for folder in sorted(self.root.iterdir()):
            if RunDir(folder).exists():
                _refuse_other_run(RunDir(folder), by_name)

    def _refuse_what_is_no_sweep(self) -> None:
        """Nothing may lie here but what a sweep killed before its recipe was written leaves."""
        ours = {self.lock_path, *self.root.glob(temporary_name(self.recipe_path, "*"))}
        if any(path not in ours for path in self.root.iterdir()):
            raise GrokinterpError(f"{self.root} is there already and holds no sweep; choose another --out")

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the recipe."""
        write_json(self.recipe_path, recipe.model_dump(mode="json"))

    def has_begun(self, job: Job) -> bool:
        """Whether a worker had taken a job up when it was lost."""
        path = Path(job.log)
        return path.exists() and job.begun_line in path.read_text(encoding="utf-8", errors="replace")


def _refuse_other_run(there: RunDir, configs: Mapping[str, RunConfig]) -> None:
    """A run that is there has to be one of these, by name and config; one whose config is damaged fails by itself."""
    from grokinterp.training.loop import difference

    config = configs.get(there.root.name)
    if config is None:
        raise GrokinterpError(
            f"{there.root.parent} holds another sweep: {there.root.name} is no run of this recipe; choose another --out"
        )
    try:
        found = there.read_config()
    except GrokinterpError:
        return
    what = difference(found, config)
    if what is not None:
        raise GrokinterpError(
            f"{there.root.parent} holds another sweep: {there.root.name} has another config ({what}); "
            "choose another --out"
        )
