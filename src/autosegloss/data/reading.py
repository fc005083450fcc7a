"""Reading samples: with their labels checked, and many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from autosegloss.data.datasets.source import Sample, Source
from autosegloss.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def load_sample(sample: Sample, source: Source) -> tuple[Tensor, Tensor]:
    """The image (3, H, W) and the label (H, W) of a sample, uint8; raises InputError as `check_labels` does."""
    image, label = sample.load()
    check_labels(label, sample, source)
    return image, label


def check_labels(label: Tensor, sample: Sample, source: Source) -> None:
    """Raise an InputError that names the sample unless all values of label (H, W) are classes or ignore_index."""
    present = torch.bincount(label.flatten(), minlength=256).nonzero().flatten().tolist()
    if unknown := [v for v in present if v >= source.num_classes and v != source.ignore_index]:
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise InputError(
            f"{sample.mask or sample.name}: label {shown} is no class: expected 0..{source.num_classes - 1}, "
            f"or {source.ignore_index} for pixels to ignore; correct the mask or the number of classes"
        )


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results of `function` on all items, in order; threads help because image decoders release the GIL."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
