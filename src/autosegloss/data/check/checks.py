"""Reads the samples of a data set and records their content and their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
        counts: pixels of each label value, (256,) int64.
        brightest: the largest value of an image of more than 8 bits on the scale 0..255; None for one of 8 bits.
        fault: why training cannot use it; None if training can.
        kind: what samples with this fault have in common.
    """

    sample: Sample
    size: tuple[int, int] | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(LABEL_VALUES, np.int64))
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
    """

    split: str
    available: int
    expected: int | None
    samples: Sequence[CheckedSample]

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
        """The share of ignored pixels in [0, 1]; nan without a pixel."""
        pixels = self.counts.sum(axis=0)
        ignored = 0 if ignore_index is None else pixels[ignore_index]
        return float(ignored / pixels.sum()) if pixels.any() else float("nan")

    def class_shares(self, num_classes: int, ignore_index: int | None) -> tuple[np.ndarray, np.ndarray]:
        """For each class its share of the valid pixels and the share of images that show it.

        Args:
            num_classes: C, the number of classes.
            ignore_index: the label of pixels that count nowhere; a class of this label has nan.

        Returns:
            Two arrays (C,) in [0, 1]; nan without a pixel or an image.
        """
        counts = self.counts[:, :num_classes].astype(np.float64)
        if ignore_index is not None and ignore_index < num_classes:
            counts[:, ignore_index] = np.nan
        with np.errstate(invalid="ignore"):
            return counts.sum(axis=0) / np.nansum(counts), np.where(
                np.isnan(counts.sum(axis=0)), np.nan, (counts > 0).sum(axis=0) / np.float64(len(counts))
            )

    @cached_property
    def counts(self) -> np.ndarray:
        """The pixels of each label value in each readable sample, int64 (N, 256)."""
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
        _check_form(image, label, source.channels)
    except SampleError as error:
        return CheckedSample(sample, fault=str(error), kind=error.kind)
    except InputError as error:
        return CheckedSample(sample, fault=str(error), kind="files that cannot be read")
    except Exception as error:  # the source of a user may raise anything, and the check goes on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return CheckedSample(
            sample, fault=f"{sample.name}: cannot be loaded ({reason})", kind="samples that cannot be loaded"
        )
    height, width = label.shape
    counts = torch.bincount(label.flatten(), minlength=LABEL_VALUES).numpy()
    brightest = None if image.dtype == torch.uint8 else float(image.max())
    try:
        check_labels(label, sample, source)
    except SampleError as error:
        return CheckedSample(sample, (height, width), counts, brightest, str(error), error.kind)
    return CheckedSample(sample, (height, width), counts, brightest)


def _check_form(image: Tensor, label: Tensor, channels: int) -> None:
    """Raise ValueError unless the tensors have the types and shapes that `Sample` states."""
    fits = image.dtype in (torch.uint8, torch.float32) and label.dtype == torch.uint8 and label.ndim == 2
    if not fits or tuple(image.shape) != (channels, *label.shape):
        raise ValueError(
            f"expected uint8 or float32 ({channels}, H, W) and uint8 (H, W), got {image.dtype} {tuple(image.shape)} "
            f"and {label.dtype} {tuple(label.shape)}"
        )
