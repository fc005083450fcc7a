"""From logits to labels: as the task has it, or the choice that RankSEG makes for the IoU of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autosegloss.errors import InputError, not_installed, unknown
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass

_MULTICLASS = Multiclass()

Decoder = Callable[[Tensor], Tensor]
"""Labels int64 (N, H, W) of logits (N, C, H, W)."""


def most_probable(task: Task) -> Decoder:
    """The most probable class of each pixel; of a foreground whether its probability is above the threshold."""
    return task.predicted


def for_iou(task: Task) -> Decoder:
    """`rankseg`; raises InputError for another task than multiclass."""
    if not isinstance(task, Multiclass):
        raise InputError(
            f"decode=rankseg has no form for task={task.name}: leave it out, threshold=P is another choice"
        )
    return rankseg


def rankseg(logits: Tensor) -> Tensor:
    """The classes that maximise the expected IoU of each image, nearly: RankSEG-RMA (Wang and Dai, NeurIPS 2025).

    All classes take part: by itself the package leaves out those that are nowhere more probable than 0.5.

    Raises:
        InputError: the package rankseg is not installed.
    """
    try:
        from rankseg import RankSEG
    except ImportError as error:
        raise not_installed("decode=rankseg", "rankseg", extra="rankseg") from error
    best = RankSEG(metric="IoU", output_mode="multiclass", solver="RMA", pruning_prob=0.0)
    return best.predict(torch.softmax(logits.float(), dim=1))


DECODERS: dict[str, Callable[[Task], Decoder]] = {"argmax": most_probable, "rankseg": for_iou}


def decoder(name: str, task: Task = _MULTICLASS) -> Decoder:
    """The decoder of this name; raises InputError for an unknown one, or one that has no form for the task."""
    if name not in DECODERS:
        raise unknown("decode", name, DECODERS)
    return DECODERS[name](task)
