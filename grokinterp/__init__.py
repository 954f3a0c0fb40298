"""grokinterp: watch a network grok, and see why.

Everything public is an attribute of this module and loaded when first used:

    import grokinterp as gi
    run = gi.train(gi.presets.quick(), "runs/x")
    gi.analyze(run)
    run.table("progress_measures")
    gi.plot(run, "embedding_spectrum")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grokinterp import plotting, presets
    from grokinterp.analysis import analyze
    from grokinterp.config import (
        LSTMConfig,
        MLPConfig,
        OptimizerConfig,
        RegularizerConfig,
        RunConfig,
        TaskConfig,
        TrainConfig,
        TransformerConfig,
    )
    from grokinterp.errors import GrokinterpError, NotApplicableError
    from grokinterp.figures import draw_figures, plot
    from grokinterp.imports import import_run
    from grokinterp.measures.measure import Column, Measure, Part
    from grokinterp.models.load import build_model
    from grokinterp.pages import report
    from grokinterp.run import Run
    from grokinterp.run import open_run as open
    from grokinterp.runs.record import record
    from grokinterp.snapshots import Snapshot
    from grokinterp.snapshots import snapshot_of_model as snapshot
    from grokinterp.sweeps.recipe import Recipe, read_recipe
    from grokinterp.sweeps.results import gather, read_results
    from grokinterp.sweeps.sweep import sweep
    from grokinterp.tasks import Task, build_task, draw_train_mask
    from grokinterp.training.replicas import replica_configs, train_replicas
    from grokinterp.training.start import train

__version__ = "0.1.0"

_PUBLIC = {
    "train": ("grokinterp.training.start", "train"),
    "train_replicas": ("grokinterp.training.replicas", "train_replicas"),
    "replica_configs": ("grokinterp.training.replicas", "replica_configs"),
    "sweep": ("grokinterp.sweeps.sweep", "sweep"),
    "Recipe": ("grokinterp.sweeps.recipe", "Recipe"),
    "read_recipe": ("grokinterp.sweeps.recipe", "read_recipe"),
    "gather": ("grokinterp.sweeps.results", "gather"),
    "read_results": ("grokinterp.sweeps.results", "read_results"),
    "open": ("grokinterp.run", "open_run"),
    "analyze": ("grokinterp.analysis", "analyze"),
    "plot": ("grokinterp.figures", "plot"),
    "draw_figures": ("grokinterp.figures", "draw_figures"),
    "report": ("grokinterp.pages", "report"),
    "snapshot": ("grokinterp.snapshots", "snapshot_of_model"),
    "record": ("grokinterp.runs.record", "record"),
    "import_run": ("grokinterp.imports", "import_run"),
    "Run": ("grokinterp.run", "Run"),
    "Snapshot": ("grokinterp.snapshots", "Snapshot"),
    "Task": ("grokinterp.tasks", "Task"),
    "build_model": ("grokinterp.models.load", "build_model"),
    "build_task": ("grokinterp.tasks", "build_task"),
    "draw_train_mask": ("grokinterp.tasks", "draw_train_mask"),
    "Measure": ("grokinterp.measures.measure", "Measure"),
    "Part": ("grokinterp.measures.measure", "Part"),
    "Column": ("grokinterp.measures.measure", "Column"),
    "RunConfig": ("grokinterp.config", "RunConfig"),
    "TaskConfig": ("grokinterp.config", "TaskConfig"),
    "TransformerConfig": ("grokinterp.config", "TransformerConfig"),
    "MLPConfig": ("grokinterp.config", "MLPConfig"),
    "LSTMConfig": ("grokinterp.config", "LSTMConfig"),
    "RegularizerConfig": ("grokinterp.config", "RegularizerConfig"),
    "OptimizerConfig": ("grokinterp.config", "OptimizerConfig"),
    "TrainConfig": ("grokinterp.config", "TrainConfig"),
    "GrokinterpError": ("grokinterp.errors", "GrokinterpError"),
    "NotApplicableError": ("grokinterp.errors", "NotApplicableError"),
    "presets": ("grokinterp.presets", None),
    "plotting": ("grokinterp.plotting", None),
}

__all__ = [
    "Column",
    "GrokinterpError",
    "LSTMConfig",
    "MLPConfig",
    "Measure",
    "NotApplicableError",
    "OptimizerConfig",
    "Part",
    "Recipe",
    "RegularizerConfig",
    "Run",
    "RunConfig",
    "Snapshot",
    "Task",
    "TaskConfig",
    "TrainConfig",
    "TransformerConfig",
    "analyze",
    "build_model",
    "build_task",
    "draw_figures",
    "draw_train_mask",
    "gather",
    "import_run",
    "open",
    "plot",
    "plotting",
    "presets",
    "read_recipe",
    "read_results",
    "record",
    "replica_configs",
    "report",
    "snapshot",
    "sweep",
    "train",
    "train_replicas",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'grokinterp' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    loaded = importlib.import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
