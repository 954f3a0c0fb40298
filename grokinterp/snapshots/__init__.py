"""One network at one moment, and what a forward over all pairs says about it."""

from grokinterp.snapshots.build import snapshot_of_model, snapshot_of_weights
from grokinterp.snapshots.objective import TrainLoss
from grokinterp.snapshots.snapshot import Snapshot

__all__ = ["Snapshot", "TrainLoss", "snapshot_of_model", "snapshot_of_weights"]
