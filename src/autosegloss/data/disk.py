"""A split on disk: each image is read from its file, at its own size, whenever a batch needs it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from autosegloss.data.datasets.source import Sample, Source
from autosegloss.data.reading import load_sample, map_in_threads
from autosegloss.data.splits import Split, counted_labels
from autosegloss.files import write_whole


class DiskSplit(Split):
    """The split `split` of a source, read anew for every batch; images may differ in size."""

    def __init__(self, source: Source, split: str):
        self.source, self.samples = source, source.samples(split)

    def __len__(self) -> int:
        return len(self.samples)

    def stacks(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """One stack per sample."""
        for k, index in enumerate(indices):
            image, label = load_sample(self.samples[index], self.source)
            yield slice(k, k + 1), image[None], label[None]

    def label_counts(self, indices: Sequence[int]) -> Tensor:
        return torch.stack(map_in_threads(self._count, [self.samples[index] for index in indices]))

    def class_counts(self, indices: Sequence[int], num_classes: int) -> Tensor:
        """As `Split.class_counts`; the result of reading all masks is kept in `cache_folder()`."""
        samples = [self.samples[index] for index in indices]
        path = cache_folder() / "class_counts" / f"{_fingerprint(self.source, samples)}.json"
        if path.exists():
            return torch.tensor(json.loads(path.read_text()))
        counts = self.label_counts(indices).sum(dim=0)[:num_classes]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(counts.tolist()))
        except OSError:  # without a cache the next run counts again
            pass
        return counts

    def _count(self, sample: Sample) -> Tensor:
        return counted_labels(load_sample(sample, self.source)[1])


def cache_folder() -> Path:
    """Where statistics of data sets are kept between runs: $AUTOSEGLOSS_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("AUTOSEGLOSS_CACHE") or Path(base, "autosegloss"))


def _fingerprint(source: Source, samples: Sequence[Sample]) -> str:
    """A hash that changes with the source's settings, the samples, and the mask files."""
    files = [(sample.name, *_time_and_size(sample.mask)) for sample in samples]
    return hashlib.sha256(json.dumps([repr(source), files]).encode()).hexdigest()[:32]


def _time_and_size(mask: str | None) -> tuple[int, int]:
    """When a mask file was last written (ns) and its size (bytes); zeros if there is no such file."""
    if mask is None or not os.path.exists(mask):
        return 0, 0
    stat = os.stat(mask)
    return stat.st_mtime_ns, stat.st_size
