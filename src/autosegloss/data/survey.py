"""What speaks against data whose files are all fine: classes without a pixel, masks of one class, repeated images."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosegloss.data.datasets.source import Sample
from autosegloss.errors import InputError

_SHOWN = 3  # examples that a sentence names
_MANY = 0.5  # share of masks of one class from which on a sentence says so


@dataclass(frozen=True)
class Masks:
    """The content of the training masks.

    Args:
        counts: the number of pixels of each label in each mask, int64 (N, 256).
        class_names: one per class.
        ignore_index: the label of pixels that count nowhere; None if every pixel counts.
        total: the number of training masks, of which N were read.
        exclusive: whether a pixel has one label.
    """

    counts: np.ndarray
    class_names: Sequence[str]
    ignore_index: int | None
    total: int
    exclusive: bool = True

    def check(self) -> None:
        """Raise InputError if all pixels that count are of one class: every network would be perfect."""
        if not self.exclusive or len(present := self._present()) > 1 or len(self.counts) < self.total:
            return
        pixels = self.counts.sum(axis=0)
        ignored = 0 if self.ignore_index is None else pixels[self.ignore_index] / max(1, pixels.sum())
        found = f"are of class {self._named(present)}" if present else "are ignored"
        remedy = "correct the masks or the classes"
        if ignored:
            values = sorted({*np.flatnonzero(pixels).tolist()})
            table = ", ".join(f"{value}: {label}" for label, value in enumerate(values))
            remedy = f"{ignored:.0%} of the pixels are {self.ignore_index}, which is ignored: if that is a class, set "
            remedy += f"'data.source.labels={{{table}}}'" if len(values) > 1 else "data.source.ignore_index=null"
        raise InputError(f"all training pixels that count {found}, so that there is nothing to learn: {remedy}")

    def notes(self) -> Iterator[str]:
        """A sentence for each doubt about the masks."""
        where = "training mask" if len(self.counts) == self.total else f"of {len(self.counts)} training masks read"
        if absent := sorted(set(self._counting()) - set(self._present())):
            yield f"no pixel in any {where} is of class {self._named(absent)}: the data cannot teach it"
        if not self.exclusive:
            return
        if remedy := starts_at_one(self.counts.sum(axis=0), self.class_names, self.ignore_index):
            yield remedy
        single = int(((self.counts[:, self._counting()] > 0).sum(axis=1) <= 1).sum())
        if single and single >= _MANY * len(self.counts):
            yield f"{single} of {len(self.counts)} training masks hold a single class"

    def _counting(self) -> list[int]:
        return [c for c in range(len(self.class_names)) if not self.exclusive or c != self.ignore_index]

    def _present(self) -> list[int]:
        pixels = self.counts.sum(axis=0)
        return [c for c in self._counting() if pixels[c]]

    def _named(self, classes: Sequence[int]) -> str:
        shown = ", ".join(f"{c} ({self.class_names[c]})" for c in classes[:_SHOWN])
        return shown + (f", ... ({len(classes)} in all)" if len(classes) > _SHOWN else "")


def starts_at_one(pixels: np.ndarray, class_names: Sequence[str], ignore_index: int | None) -> str | None:
    """A sentence with the remedy if the labels of masks run from 1 to C instead of from 0; None if they do not.

    Args:
        pixels: the number of pixels of each label (256,).
        class_names: C names.
        ignore_index: the label of pixels that count nowhere; None if every pixel counts.
    """
    labels = [int(label) for label in np.flatnonzero(pixels) if label != ignore_index]
    count = len(class_names)
    if not labels or labels[0] != 1 or labels[-1] > count or ignore_index == 0:
        return None
    if labels[-1] == count:
        pairs = ", ".join(f"{label}: {label - 1}" for label in range(1, count + 1))
        remedy = f"the names are one off: set 'data.source.labels={{{pairs}}}'"
    else:
        pairs = ", ".join(f"{label}: {label - 1}" for label in range(1, count))
        remedy = (
            f"if there is no class 0, leave it out: data.source.classes={count - 1} 'data.source.labels={{{pairs}}}'"
        )
    return f"label 0 does not occur, the ids seem to start at 1: {remedy}, or write ROOT/classes.yaml"


def repeated(sets: Mapping[str, Sequence[Sample]]) -> list[tuple[str, str]]:
    """Pairs of image files with the same bytes in different sets, such as "train" and "val", as "SET: NAME".

    Files are compared by size first, so that few are read.
    """
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, samples in sets.items():
        for sample in samples:
            if os.path.isfile(sample.name) and (size := os.path.getsize(sample.name)):
                by_size[size].append((name, sample.name))
    pairs: list[tuple[str, str]] = []
    for files in by_size.values():
        if len({name for name, _ in files}) > 1:
            pairs += _equal(files)
    return pairs


def repeats_note(pairs: Sequence[tuple[str, str]]) -> str:
    """A sentence about images that occur in two sets."""
    shown = "; ".join(" = ".join(pair) for pair in pairs[:_SHOWN])
    more = "; ..." if len(pairs) > _SHOWN else ""
    return (
        f"{len(pairs)} image{'' if len(pairs) == 1 else 's'} in two splits, which makes scores too good: {shown}{more}"
    )


def _equal(files: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of files of different sets with the same bytes; the first file of each content is named in all."""
    first: dict[bytes, tuple[str, str]] = {}
    for name, path in files:
        digest = hashlib.sha256(Path(path).read_bytes()).digest()
        other, where = first.setdefault(digest, (name, path))
        if other != name:
            yield f"{other}: {where}", f"{name}: {path}"
