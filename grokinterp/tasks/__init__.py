"""Finite binary operations as tables, their split into train and test pairs, and their tokens."""

from grokinterp.tasks.build import build_task
from grokinterp.tasks.labels import draw_labels
from grokinterp.tasks.split import draw_train_mask
from grokinterp.tasks.task import Task

__all__ = ["Task", "build_task", "draw_labels", "draw_train_mask"]
