"""A walk over a data set: what is in it, and which of its files cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from autosegloss.data.datasets.source import SPLITS, Sample, Source
from autosegloss.data.reading import check_labels, map_in_threads
from autosegloss.errors import InputError


@dataclass(frozen=True)
class Seen:
    """What one sample holds: its (H, W), the pixels of each value 0..255, and what is wrong with it, if anything."""

    sample: Sample
    size: tuple[int, int] | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    fault: str | None = None


@dataclass(frozen=True)
class SplitReport:
    """What was seen of a split that has `available` samples; `expected` are those of the whole data set, if known."""

    split: str
    available: int
    expected: int | None
    seen: Sequence[Seen]

    @property
    def faults(self) -> list[str]:
        return [one.fault for one in self.seen if one.fault]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The (H, W) that occur, sorted by their area."""
        return sorted({one.size for one in self.seen if one.size}, key=lambda size: (size[0] * size[1], size))

    @property
    def labels(self) -> list[int]:
        """The values that occur, those that are no class among them."""
        return np.flatnonzero(self._counts().sum(axis=0)).tolist()

    def ignored(self, ignore_index: int) -> float:
        """The share of pixels that is ignored; nan where there are none."""
        pixels = self._counts().sum(axis=0)
        return float(pixels[ignore_index] / pixels.sum()) if pixels.any() else float("nan")

    def shares(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """Per class (C,) its share of the pixels that count, and of the images; nan where there are none."""
        counts = self._counts()[:, : source.num_classes]
        with np.errstate(invalid="ignore"):
            return counts.sum(axis=0) / counts.sum(), (counts > 0).sum(axis=0) / np.float64(len(counts))

    def _counts(self) -> np.ndarray:
        """(readable samples, 256)."""
        return np.array([one.counts for one in self.seen if one.size], np.int64).reshape(-1, 256)


def walk(source: Source, limit: int | None = None, on_sample: Callable[[str, int], None] = lambda *_: None):
    """One SplitReport after the other; reads the first `limit` samples of each split, or all.

    on_sample: called with the split and the number of samples to be read, once for each; from any thread.
    Raises InputError if the source cannot say what its samples are.
    """
    for split in SPLITS:
        samples = source.samples(split)
        chosen = samples[:limit]

        def look(sample: Sample, split: str = split, total: int = len(chosen)) -> Seen:
            seen = inspect(sample, source)
            on_sample(split, total)
            return seen

        expected = source.expected.get(split)
        yield SplitReport(split, len(samples), expected, map_in_threads(look, chosen))


def inspect(sample: Sample, source: Source) -> Seen:
    """Load a sample; whatever is wrong with it becomes its fault."""
    try:
        image, label = sample.load()
        _check_form(image, label)
    except InputError as error:
        return Seen(sample, fault=str(error))
    except Exception as error:  # a source of one's own may fail in any way: the walk goes on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Seen(sample, fault=f"{sample.name}: cannot be loaded ({reason})")
    counts = torch.bincount(label.flatten(), minlength=256).numpy()
    try:
        check_labels(label, sample, source)
        fault = None
    except InputError as error:
        fault = str(error)
    return Seen(sample, tuple(label.shape), counts, fault)


def _check_form(image: Tensor, label: Tensor) -> None:
    """Raise ValueError unless a source has kept what `Sample` says of the two tensors."""
    form = (image.dtype, label.dtype, tuple(image.shape))
    if form != (torch.uint8, torch.uint8, (3, *label.shape)) or label.ndim != 2:
        raise ValueError(
            f"expected uint8 (3, H, W) and (H, W), got {image.dtype} {tuple(image.shape)} and "
            f"{label.dtype} {tuple(label.shape)}"
        )
