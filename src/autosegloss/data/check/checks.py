"""Reads the samples of a data set and records their content and their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.source import SPLITS, Sample, Source
from autosegloss.data.reading import check_labels, map_in_threads
from autosegloss.errors import InputError

LABEL_VALUES = 256  # of uint8 labels


@dataclass(frozen=True)
class CheckedSample:
    """The content of one sample.

    Args:
        sample: the sample.
        size: (H, W) of its label in pixels; None if it cannot be loaded.
        counts: pixels of each label value, (256,) int64.
        fault: why training cannot use it; None if training can.
    """

    sample: Sample
    size: tuple[int, int] | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(LABEL_VALUES, np.int64))
    fault: str | None = None


@dataclass(frozen=True)
class SplitReport:
    """The content of a split.

    Args:
        split: "train", "val" or "test".
        available: the number of samples that the source has.
        expected: the number of samples of the whole data set; None if unknown.
        samples: the samples that were read.
    """

    split: str
    available: int
    expected: int | None
    samples: Sequence[CheckedSample]

    @property
    def faults(self) -> list[str]:
        return [sample.fault for sample in self.samples if sample.fault]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The different (H, W), sorted by area."""
        return sorted(
            {sample.size for sample in self.samples if sample.size}, key=lambda size: (size[0] * size[1], size)
        )

    @property
    def labels(self) -> list[int]:
        """The label values that occur, sorted; invalid ones are included."""
        return np.flatnonzero(self._counts().sum(axis=0)).tolist()

    def ignored_share(self, ignore_index: int) -> float:
        """The share of ignored pixels in [0, 1]; nan without a pixel."""
        pixels = self._counts().sum(axis=0)
        return float(pixels[ignore_index] / pixels.sum()) if pixels.any() else float("nan")

    def class_shares(self, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """For each class its share of the valid pixels and the share of images that show it.

        Args:
            num_classes: C, the number of classes.

        Returns:
            Two arrays (C,) in [0, 1]; nan without a pixel or an image.
        """
        counts = self._counts()[:, :num_classes]
        with np.errstate(invalid="ignore"):
            return counts.sum(axis=0) / counts.sum(), (counts > 0).sum(axis=0) / np.float64(len(counts))

    def _counts(self) -> np.ndarray:
        """(readable samples, 256)."""
        return np.array([sample.counts for sample in self.samples if sample.size], np.int64).reshape(-1, LABEL_VALUES)


def check_splits(
    source: Source, limit: int | None = None, on_sample: Callable[[str, int], None] = lambda *_: None
) -> Iterator[SplitReport]:
    """Read a data set split by split, in threads.

    Args:
        source: the data set.
        limit: read the first `limit` samples of each split; None reads all.
        on_sample: called from any thread after each sample, with the split and the number of its samples to read.

    Yields:
        A report per split.

    Raises:
        InputError: the source cannot list its samples.
    """
    for split in SPLITS:
        samples = source.samples(split)
        chosen = samples[:limit]

        def read(sample: Sample, split: str = split, total: int = len(chosen)) -> CheckedSample:
            checked = check_sample(sample, source)
            on_sample(split, total)
            return checked

        expected = source.expected.get(split)
        yield SplitReport(split, len(samples), expected, map_in_threads(read, chosen))


def check_sample(sample: Sample, source: Source) -> CheckedSample:
    """Load a sample and count its labels; any exception of its source becomes its fault."""
    try:
        image, label = sample.load()
        _check_form(image, label)
    except InputError as error:
        return CheckedSample(sample, fault=str(error))
    except Exception as error:  # the source of a user may raise anything, and the check goes on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return CheckedSample(sample, fault=f"{sample.name}: cannot be loaded ({reason})")
    height, width = label.shape
    counts = torch.bincount(label.flatten(), minlength=LABEL_VALUES).numpy()
    try:
        check_labels(label, sample, source)
        fault = None
    except InputError as error:
        fault = str(error)
    return CheckedSample(sample, (height, width), counts, fault)


def _check_form(image: Tensor, label: Tensor) -> None:
    """Raise ValueError unless the tensors have the types and shapes that `Sample` states."""
    form = (image.dtype, label.dtype, tuple(image.shape))
    if form != (torch.uint8, torch.uint8, (3, *label.shape)) or label.ndim != 2:
        raise ValueError(
            f"expected uint8 (3, H, W) and (H, W), got {image.dtype} {tuple(image.shape)} and "
            f"{label.dtype} {tuple(label.shape)}"
        )
