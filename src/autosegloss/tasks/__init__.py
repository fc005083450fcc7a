"""What logits and labels of a task mean: one class a pixel, a foreground, or any number of classes a pixel."""

from autosegloss.registry import import_members
from autosegloss.tasks.task import Task

__all__ = ["Task"]

import_members(__name__, __path__)
