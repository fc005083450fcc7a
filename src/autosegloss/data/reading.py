"""Reading samples: with their labels checked, and many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from autosegloss.data.datasets.source import Sample, SampleError, Source

Item = TypeVar("Item")
Result = TypeVar("Result")


def load_sample(sample: Sample, source: Source) -> tuple[Tensor, Tensor]:
    """The image (B, H, W), uint8 or float32, and the label uint8 of a sample, (H, W) or (C, H, W).

    Raises InputError as `check_labels` does, and for an image of another number of bands than the source states.
    """
    image, label = sample.load()
    if image.shape[0] != source.channels:
        raise SampleError(
            "images of another number of bands",
            f"{sample.name}: expected an image of {source.channels} bands, got {image.shape[0]}: `channels` of "
            f"{type(source).__name__} must state their number",
        )
    check_labels(label, sample, source)
    return image, label


def check_labels(label: Tensor, sample: Sample, source: Source) -> None:
    """Raise an InputError that names the sample unless all values of its label are classes or ignore_index.

    Those of a label (C, H, W), of classes that do not exclude each other, are 0, 1 or ignore_index.
    """
    if label.ndim != 2:
        _check_several(label, sample, source)
        return
    present = torch.bincount(label.flatten(), minlength=256).nonzero().flatten().tolist()
    if not (unknown := [v for v in present if v >= source.num_classes and v != source.ignore_index]):
        return
    shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
    ignored = "" if source.ignore_index is None else f", or {source.ignore_index} for pixels to ignore"
    remedy = "correct the mask or the number of classes"
    if 0 not in present and unknown[0] == source.num_classes:
        pairs = ", ".join(f"{label}: {label - 1}" for label in range(1, source.num_classes + 1))
        remedy = f"the ids seem to start at 1: set 'data.source.labels={{{pairs}}}', or {remedy}"
    raise SampleError(
        "labels that are no class",
        f"{sample.mask or sample.name}: label {shown} is no class: expected 0..{source.num_classes - 1}{ignored}; "
        f"{remedy}",
    )


def _check_several(label: Tensor, sample: Sample, source: Source) -> None:
    where, count = sample.mask or sample.name, source.num_classes
    if label.ndim != 3 or len(label) != count:
        raise SampleError(
            "labels of another form", f"{where}: expected a label (H, W) or ({count}, H, W), got {tuple(label.shape)}"
        )
    if wrong := [v for v in label.unique().tolist() if v not in (0, 1, source.ignore_index)]:
        raise SampleError(
            "labels that are no class", f"{where}: expected 0 and 1 for each class, or ignore_index, got {wrong[0]}"
        )


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results of `function` on all items, in order; threads help because image decoders release the GIL."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
