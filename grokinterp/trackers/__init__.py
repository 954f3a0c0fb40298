"""Training followed from outside while it runs: TensorBoard, wandb, or an object of one's own; nothing by default.

A tracker sees what metrics.jsonl holds and changes nothing: the run has the same bytes with and without one.
"""

from grokinterp.trackers.choose import choose_trackers
from grokinterp.trackers.followers import Followers
from grokinterp.trackers.tracker import Track, Tracker

__all__ = ["Followers", "Track", "Tracker", "choose_trackers"]
