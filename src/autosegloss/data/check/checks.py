"""Reads the samples of a data set and records their content and their faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.source import SPLITS, Sample, SampleError, Source
from autosegloss.data.reading import check_labels, map_in_threads
from autosegloss.errors import InputError

LABEL_VALUES = 256  # of uint8 labels


@dataclass(frozen=True)
class CheckedSample:
    """The content of one sample.

    Args:
        sample: the sample.
        size: (H, W) of its label in pixels; None if it cannot be loaded.
        counts: pixels of each label value, (256,) int64; of a label (C, H, W), with any number of classes a pixel,
            those of each class.
        counting: of such a label the pixels that count for each class, int64 (C,).
        brightest: the largest value of an image of more than 8 bits on the scale 0..255; None for one of 8 bits.
        fault: why training cannot use it; None if training can.
        kind: what samples with this fault have in common.
    """

    sample: Sample
    size: tuple[int, int] | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(LABEL_VALUES, np.int64))
    counting: np.ndarray | None = None
    brightest: float | None = None
    fault: str | None = None
    kind: str = ""


@dataclass(frozen=True)
class SplitReport:
    """The content of a split.

    Args:
        split: "train", "val" or "test".
        available: the number of samples that the source has.
        expected: the number of samples of the whole data set; None if unknown.
        samples: the samples that were read.
        exclusive: whether a pixel has one label.
    """

    split: str
    available: int
    expected: int | None
    samples: Sequence[CheckedSample]
    exclusive: bool = True

    @property
    def unread(self) -> int:
        """The number of samples that a limit has left out."""
        return self.available - len(self.samples)

    @property
    def faulty(self) -> list[CheckedSample]:
        """The samples that training cannot use."""
        return [sample for sample in self.samples if sample.fault]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The different (H, W), sorted by area."""
        return sorted(
            {sample.size for sample in self.samples if sample.size}, key=lambda size: (size[0] * size[1], size)
        )

    @property
    def labels(self) -> list[int]:
        """The label values that occur, sorted; invalid ones are included."""
        return np.flatnonzero(self.counts.sum(axis=0)).tolist()

    def ignored_share(self, ignore_index: int | None) -> float:
        """The share of ignored pixels in [0, 1], of all classes together; nan without a pixel."""
        pixels = self.counts.sum(axis=0)
        ignored, total = 0 if ignore_index is None else pixels[ignore_index], pixels.sum()
        if not self.exclusive:
            total = self.counting.shape[-1] * sum(math.prod(sample.size) for sample in self.samples if sample.size)
            ignored = total - self.counting.sum()
        return float(ignored / total) if total else float("nan")

    def class_shares(self, num_classes: int, ignore_index: int | None) -> tuple[np.ndarray, np.ndarray]:
        """For each class its share of the pixels that count and the share of images that show it.

        Args:
            num_classes: C, the number of classes.
            ignore_index: the label of pixels that count nowhere; a class of this label has nan.

        Returns:
            Two arrays (C,) in [0, 1]; nan without a pixel or an image.
        """
        counts = self.counts[:, :num_classes].astype(np.float64)
        if self.exclusive and ignore_index is not None and ignore_index < num_classes:
            counts[:, ignore_index] = np.nan
        with np.errstate(invalid="ignore"):
            counting = np.nansum(counts) if self.exclusive else self.counting.sum(axis=0)
            return counts.sum(axis=0) / counting, np.where(
                np.isnan(counts.sum(axis=0)), np.nan, (counts > 0).sum(axis=0) / np.float64(len(counts))
            )

    @cached_property
    def counts(self) -> np.ndarray:
        """The pixels of each label value in each readable sample, int64 (N, 256)."""
        return np.array([sample.counts for sample in self.samples if sample.size], np.int64).reshape(-1, LABEL_VALUES)

    @cached_property
    def counting(self) -> np.ndarray:
        """The pixels that count for each class in each readable sample, int64 (N, C)."""
        return np.array([sample.counting for sample in self.samples if sample.counting is not None], np.int64)


def check_splits(
    source: Source,
    limit: int | None = None,
    on_sample: Callable[[str, int], None] = lambda *_: None,
    exclusive: bool = True,
) -> Iterator[SplitReport]:
    """Read a data set split by split, in threads.

    Args:
        source: the data set.
        limit: read the first `limit` samples of each split; None reads all.
        on_sample: called from any thread after each sample, with the split and the number of its samples to read.
        exclusive: whether a pixel has one label; otherwise labels are (C, H, W).

    Yields:
        A report per split.

    Raises:
        InputError: the source cannot list its samples.
    """
    for split in SPLITS:
        samples = source.samples(split)
        chosen = samples[:limit]

        def read(sample: Sample, split: str = split, total: int = len(chosen)) -> CheckedSample:
            checked = check_sample(sample, source, exclusive)
            on_sample(split, total)
            return checked

        expected = source.expected.get(split)
        yield SplitReport(split, len(samples), expected, map_in_threads(read, chosen), exclusive)


def check_sample(sample: Sample, source: Source, exclusive: bool = True) -> CheckedSample:
    """Load a sample and count its labels; any exception of its source becomes its fault."""
    try:
        image, label = sample.load()
        _check_form(image, label, (source.channels,), () if exclusive else (source.num_classes,))
    except SampleError as error:
        return CheckedSample(sample, fault=str(error), kind=error.kind)
    except InputError as error:
        return CheckedSample(sample, fault=str(error), kind="files that cannot be read")
    except Exception as error:  # the source of a user may raise anything, and the check goes on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return CheckedSample(
            sample, fault=f"{sample.name}: cannot be loaded ({reason})", kind="samples that cannot be loaded"
        )
    height, width = label.shape[-2:]
    brightest = None if image.dtype == torch.uint8 else float(image.max())
    counts, counting = _content(label, source)
    checked = CheckedSample(sample, (height, width), counts, counting, brightest)
    try:
        check_labels(label, sample, source)
    except SampleError as error:
        return replace(checked, fault=str(error), kind=error.kind)
    return checked


def _content(label: Tensor, source: Source) -> tuple[np.ndarray, np.ndarray | None]:
    """The counts of a sample, and of a label (C, H, W) the pixels that count for each class."""
    if label.ndim == 2:
        return torch.bincount(label.flatten(), minlength=LABEL_VALUES).numpy(), None
    counts, classes = np.zeros(LABEL_VALUES, np.int64), label.flatten(1).numpy()
    counts[: len(classes)] = (classes == 1).sum(axis=1)
    return counts, (classes != source.ignore_index).sum(axis=1)  # None equals no number


def _check_form(image: Tensor, label: Tensor, channels: tuple[int, ...], classes: tuple[int, ...]) -> None:
    """Raise ValueError unless the tensors have the types, and before (H, W) the axes, that `Sample` states."""
    fits = image.dtype in (torch.uint8, torch.float32) and label.dtype == torch.uint8 and label.ndim >= 2
    size = tuple(label.shape[-2:])
    if not fits or tuple(image.shape) != (*channels, *size) or tuple(label.shape) != (*classes, *size):
        before = "".join(f"{count}, " for count in classes)
        raise ValueError(
            f"expected uint8 or float32 ({channels[0]}, H, W) and uint8 ({before}H, W), got {image.dtype} "
            f"{tuple(image.shape)} and {label.dtype} {tuple(label.shape)}"
        )
