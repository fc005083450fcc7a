"""A number of another tool, and the metric of ours that is to give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tool_numbers.scenes import CLASSES, Scene
from torch.nn.functional import one_hot

ROWS: list[Row] = []
"""In the order of the table."""


@dataclass(frozen=True)
class Row:
    """A number of a tool and ours.

    Args:
        package: by its name in an index.
        module: is imported to see whether it is there.
        call: what its users write.
        ours: an expression that makes the metric.
        theirs: the number of a scene.
        task: "multiclass", or "binary" for masks of one class.
        ignored: whether the tool knows pixels that do not count.
        same: whether the two are to be equal.
    """

    package: str
    module: str
    call: str
    ours: str
    theirs: Callable[[Scene], float]
    task: str = "multiclass"
    ignored: bool = True
    same: bool = True


def add(package: str, module: str, **options: Any) -> Callable[..., None]:
    """Makes rows of a package: each is given as what its users write, our expression, and the function."""

    def row(call: str, ours: str, theirs: Callable[[Scene], float], **more: Any) -> None:
        ROWS.append(Row(package, module, call, ours, theirs, **(options | more)))

    return row


def mean_of(values: Any) -> float:
    """The mean of numbers without those that are nan."""
    return float(np.nanmean(np.asarray(values, dtype=np.float64)))


def hot(labels: torch.Tensor) -> torch.Tensor:
    """One-hot masks (N, C, H, W) of labels (N, H, W)."""
    return one_hot(labels, CLASSES).movedim(-1, 1)
