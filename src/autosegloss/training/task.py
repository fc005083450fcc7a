"""The task that a configuration names."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from autosegloss.data.datamodule import SegmentationData
from autosegloss.errors import InputError
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass


def task_of(cfg: DictConfig) -> Task:
    """The task of a run, with its threshold; a configuration of an earlier version is multiclass.

    Raises:
        InputError: there is no such task, or it has no threshold.
    """
    threshold = OmegaConf.select(cfg, "threshold")
    options = {} if threshold is None else {"threshold": threshold}
    return Task.named(str(OmegaConf.select(cfg, "task", default=Multiclass.name)), **options)


def channels_of(task: Task, data: SegmentationData) -> int:
    """The channels of the logits of a run.

    Raises:
        InputError: the classes of the data, or the form of their labels, do not fit the task.
    """
    channels = task.channels(data.num_classes)
    if not task.exclusive:
        _, _, labels = next(iter(data.training_split().stacks([data.parts[0][0]])))
        if labels.ndim != 4 or labels.shape[1] != channels:
            raise InputError(
                f"task={task.name} takes labels ({channels}, H, W) of 0 and 1, from a data set of your own as "
                f"docs/data.md shows, got {tuple(labels.shape[1:])}: for one class a pixel set task=multiclass"
            )
    return channels
