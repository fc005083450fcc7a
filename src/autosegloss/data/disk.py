"""Data that stay on disk: every image is read, at its own size, when its turn comes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from autosegloss.data.datasets.source import Sample, Source
from autosegloss.errors import InputError
from autosegloss.files import write_whole

S, T = TypeVar("S"), TypeVar("T")


class OnDisk:
    """A split whose images are read anew whenever they are asked for."""

    def __init__(self, source: Source, split: str):
        self.source, self.samples = source, source.samples(split)

    def __len__(self) -> int:
        return len(self.samples)

    def stacks(self, indices: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """The samples at `indices`, one by one: which it is of the batch, images (1, 3, H, W), labels (1, H, W)."""
        for k, index in enumerate(indices.tolist()):
            image, label = load(self.samples[index], self.source)
            yield slice(k, k + 1), image[None], label[None]

    def counts(self, indices: Sequence[int], classes: int) -> Tensor:
        """Pixels of each class (C,) int64 among the samples at `indices`; counted once, then kept in a cache folder."""
        samples = [self.samples[index] for index in indices]
        path = cache_folder() / "class_counts" / f"{_fingerprint(self.source, samples)}.json"
        if path.exists():
            return torch.tensor(json.loads(path.read_text()))
        each = in_threads(lambda sample: torch.bincount(load(sample, self.source)[1].flatten(), minlength=256), samples)
        counts = torch.stack(each).sum(dim=0)[:classes]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(counts.tolist()))
        except OSError:  # a home that cannot be written costs the next run the time, no more
            pass
        return counts


def load(sample: Sample, source: Source) -> tuple[Tensor, Tensor]:
    """Image (3, H, W) and label (H, W), uint8; raises InputError for a label that is no class."""
    image, label = sample.load()
    seen = torch.bincount(label.flatten(), minlength=256).nonzero().flatten().tolist()
    strange = [v for v in seen if v >= source.num_classes and v != source.ignore_index]
    if strange:
        shown = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
        raise InputError(
            f"{sample.mask or sample.name}: label {shown} is no class: expected 0..{source.num_classes - 1}, "
            f"or {source.ignore_index} for pixels to ignore; correct the mask or the number of classes"
        )
    return image, label


def in_threads(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """The results of `work` on all items, in their order; decoding images leaves Python's lock to others."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def cache_folder() -> Path:
    """Where figures about data are kept between runs: $AUTOSEGLOSS_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("AUTOSEGLOSS_CACHE") or Path(base, "autosegloss"))


def _fingerprint(source: Source, samples: Sequence[Sample]) -> str:
    """Changes with the source's settings, the samples, and the masks on disk."""
    files = [(sample.name, *_written(sample.mask)) for sample in samples]
    return hashlib.sha256(json.dumps([repr(source), files]).encode()).hexdigest()[:32]


def _written(mask: str | None) -> tuple[int, int]:
    if mask is None or not os.path.exists(mask):
        return 0, 0
    stat = os.stat(mask)
    return stat.st_mtime_ns, stat.st_size
