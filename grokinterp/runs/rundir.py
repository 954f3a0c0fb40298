"""The run directory: the only code that spells the names of its files.

    config.json provenance.json task.safetensors split.safetensors metrics.jsonl checksums.json end.json lost.json
    ckpts/step_00001200.safetensors  resume.pt  lock
    measures/<name>[.<part>].parquet  measures/<name>.json  phases.json  summary.json  figures/
    report.html  tracking/

What training writes lies under `root`; what analysis writes lies under `out`, which is the same
folder unless the run can't be written. This module needs no torch; tensors.py reads and writes the
files that hold tensors.
"""

import re
from pathlib import Path
from typing import Any

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import read_json, temporary_name, write_json, write_text

NOT_TRAINED = ("recorded", "imported")
"""Engines of runs that somebody else's loop made."""

_CHECKPOINT = re.compile(r"step_(\d{8,})\.safetensors")


class RunDir:
    """Paths, and the small text files at them."""

    def __init__(self, root: str | Path, out: str | Path | None = None) -> None:
        self.root = Path(root)
        self.out = Path(out) if out is not None else self.root

    # Paths -----------------------------------------------------------------------------------

    @property
    def config_path(self) -> Path:
        """The complete config; a folder that holds it is a run directory."""
        return self.root / "config.json"

    @property
    def provenance_path(self) -> Path:
        """Versions, device, dtype, threads, command, git commit."""
        return self.root / "provenance.json"

    @property
    def task_path(self) -> Path:
        """The operation's table and coordinates."""
        return self.root / "task.safetensors"

    @property
    def split_path(self) -> Path:
        """The training mask."""
        return self.root / "split.safetensors"

    @property
    def metrics_path(self) -> Path:
        """One JSON line an evaluation."""
        return self.root / "metrics.jsonl"

    @property
    def resume_path(self) -> Path:
        """Everything training needs to go on, latest only."""
        return self.root / "resume.pt"

    @property
    def checksums_path(self) -> Path:
        """SHA-256 of each checkpoint by file name."""
        return self.root / "checksums.json"

    @property
    def end_path(self) -> Path:
        """Where and why training ended, of a run that ended before its last step."""
        return self.root / "end.json"

    @property
    def lost_path(self) -> Path:
        """Steps whose checkpoint is lost, where `grokinterp forget` recorded it."""
        return self.root / "lost.json"

    @property
    def lock_path(self) -> Path:
        """Held by the process that writes."""
        return self.root / "lock"

    @property
    def ckpts(self) -> Path:
        """The folder of checkpoints."""
        return self.root / "ckpts"

    @property
    def tracking(self) -> Path:
        """The folder of what trackers of the training write; no part of the run."""
        return self.root / "tracking"

    @property
    def phases_path(self) -> Path:
        """Events and phases."""
        return self.out / "phases.json"

    @property
    def summary_path(self) -> Path:
        """One row for tables over many runs."""
        return self.out / "summary.json"

    @property
    def measures(self) -> Path:
        """The folder of tables."""
        return self.out / "measures"

    @property
    def figures(self) -> Path:
        """The folder of figures."""
        return self.out / "figures"

    @property
    def report_path(self) -> Path:
        """The offline page."""
        return self.out / "report.html"

    @property
    def analysis_lock_path(self) -> Path:
        """Held by the process that analyzes."""
        return self.measures / "lock"

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.ckpts / f"step_{step:08d}.safetensors"

    def table_path(self, measure: str, part: str = "") -> Path:
        """The table of a measure's part; the part "" is the main one."""
        return self.measures / (f"{measure}.{part}.parquet" if part else f"{measure}.parquet")

    def table_info_path(self, measure: str) -> Path:
        """What the tables of a measure mean and how they were made."""
        return self.measures / f"{measure}.json"

    # Config and provenance ---------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Names of the tables, "measure" or "measure.part", ascending."""
        return sorted(path.name.removesuffix(".parquet") for path in self.measures.glob("[!.]*.parquet"))

    def measured(self) -> list[str]:
        """Names of the measures that have a table, ascending."""
        return sorted({path.name.partition(".")[0] for path in self.measures.glob("[!.]*.parquet")})

    def exists(self) -> bool:
        """Whether there is a run here."""
        return self.config_path.is_file()

    def is_free(self) -> bool:
        """Whether nothing lies here but what a training killed before its config was written leaves."""
        if not self.root.exists():
            return True
        ours = {self.lock_path, *self.leftovers()}
        return self.root.is_dir() and all(path in ours for path in self.root.iterdir())

    def leftovers(self) -> list[Path]:
        """Temporary files of a training that was killed while writing."""
        files = (
            self.config_path,
            self.provenance_path,
            self.task_path,
            self.split_path,
            self.metrics_path,
            self.resume_path,
            self.checksums_path,
            self.end_path,
            self.lost_path,
        )
        inside = [path for file in files for path in self.root.glob(temporary_name(file, "*"))]
        return inside + list(self.ckpts.glob(temporary_name(self.ckpts / "step_*", "*")))

    def analysis_leftovers(self) -> list[Path]:
        """Temporary files of analyses and drawings that were killed while writing."""
        ours = [self.out.glob(temporary_name(file, "*")) for file in (self.phases_path, self.summary_path)]
        folders = (self.measures, self.figures)
        files = [*ours, self.out.glob(temporary_name(self.report_path, "*"))]
        files += [folder.glob(temporary_name(folder / "*", "*")) for folder in folders]
        return [path for found in files for path in found]

    def read_config(self) -> RunConfig:
        """The run's config.

        Raises:
            GrokinterpError: none there, damaged, or from a newer schema.
        """
        try:
            text = self.config_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise GrokinterpError(f"{self.root} is no run directory: it has no config.json") from None
        return RunConfig.from_json(text, source=str(self.config_path))

    def write_config(self, config: RunConfig) -> None:
        """Write the config."""
        write_text(self.config_path, config.to_json())

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write the provenance."""
        write_json(self.provenance_path, provenance)

    def read_provenance(self) -> dict[str, Any]:
        """The provenance, empty where there is none."""
        return read_json(self.provenance_path) if self.provenance_path.exists() else {}

    def write_end(self, step: int, reason: str) -> None:
        """Say that training ended at a step before the last one, and why."""
        write_json(self.end_path, {"step": step, "reason": reason})

    def read_end(self) -> dict[str, Any] | None:
        """`write_end`'s step and reason; None for a run that goes to its last step."""
        if not self.end_path.exists():
            return None
        end = read_json(self.end_path)
        if not isinstance(end.get("step"), int) or not isinstance(end.get("reason"), str):
            raise GrokinterpError(f"{self.end_path} is damaged; delete it and train again to go on")
        return end

    # Checkpoints -----------------------------------------------------------------------------

    def steps(self) -> list[int]:
        """Steps of all checkpoints, ascending."""
        names = (_CHECKPOINT.fullmatch(path.name) for path in self.ckpts.glob("step_*.safetensors"))
        return sorted(int(match[1]) for match in names if match)

    def drop_checkpoints_from(self, step: int) -> None:
        """Delete the checkpoints at and after a step, for a run that goes on from there."""
        checksums = self.read_checksums()  # damaged, it stops us before anything is deleted
        lost = [self.checkpoint_path(s).name for s in self.read_lost() if s < step]
        for kept in [s for s in self.steps() if s >= step]:
            self.checkpoint_path(kept).unlink()
        names = {*lost, *(self.checkpoint_path(s).name for s in self.steps())}
        self.write_checksums({n: digest for n, digest in checksums.items() if n in names})

    def read_checksums(self) -> dict[str, str]:
        """SHA-256 of each checkpoint by file name; empty where none were written.

        Raises:
            GrokinterpError: something else is written there.
        """
        found = read_json(self.checksums_path) if self.checksums_path.exists() else {}
        if not all(isinstance(digest, str) for digest in found.values()):
            raise GrokinterpError(f"{self.checksums_path} is damaged; {self.copy_of(self.checksums_path.name)}")
        return found

    def write_checksums(self, checksums: dict[str, str]) -> None:
        """Write the checksums."""
        write_json(self.checksums_path, checksums)

    def written_steps(self) -> list[int]:
        """Steps of the checkpoints that have a checksum, ascending; their files may be gone."""
        names = (_CHECKPOINT.fullmatch(name) for name in self.read_checksums())
        return sorted(int(match[1]) for match in names if match)

    def read_lost(self) -> list[int]:
        """Steps whose checkpoint was recorded as lost, ascending; not those that are there again.

        Raises:
            GrokinterpError: the record is damaged.
        """
        steps = read_json(self.lost_path).get("steps") if self.lost_path.exists() else []
        if not isinstance(steps, list) or not all(type(step) is int for step in steps):
            raise GrokinterpError(f"{self.lost_path} is damaged; delete it, and `grokinterp forget` writes it anew")
        return sorted(set(steps) - set(self.steps()))

    def write_lost(self, steps: list[int]) -> None:
        """Record that the checkpoints of these steps are lost."""
        write_json(self.lost_path, {"steps": steps})

    def way_back(self) -> str:
        """What there is to do about a checkpoint that is damaged or gone, as the end of a sentence."""
        again = f"train it again with `grokinterp train --from {self.root} --out NEW`, " if self.is_trained else ""
        return f"restore it from a copy, {again}or go on without it after `grokinterp forget {self.root}`"

    @property
    def is_trained(self) -> bool:
        """Whether `train` made it: a split, a log and checkpoints that a repetition has the same."""
        try:
            engine = self.read_provenance().get("engine")
        except GrokinterpError:
            return False
        return engine is not None and engine not in NOT_TRAINED

    def copy_of(self, name: str) -> str:
        """What there is to do about a file that is damaged or gone and that a repetition has: a sentence's end."""
        again = f", or copy {name} of `grokinterp train --from {self.root} --out NEW`" if self.is_trained else ""
        return f"restore it from a copy{again}"
