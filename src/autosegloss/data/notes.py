"""What a program doubts about its data before it trains."""

from __future__ import annotations

from collections.abc import Sequence

from autosegloss.data.datamodule import SegmentationData
from autosegloss.data.palettes import palettes_note
from autosegloss.data.survey import Masks, repeated, repeats_note

READ = 500  # masks on disk that are looked at; in memory all are


def doubts(data: SegmentationData) -> list[str]:
    """A sentence for each doubt about the data of a run.

    All masks in memory are looked at, or of masks on disk up to 500, spread evenly over the training samples.

    Raises:
        InputError: for data of which nothing can be learnt: all training pixels are of one class.
    """
    masks = check_masks(data)
    pairs = repeated(_sets(data))
    return [*masks.notes(), *_palettes(data), *([repeats_note(pairs)] if pairs else [])]


def check_masks(data: SegmentationData) -> Masks:
    """The content of the training masks; raises InputError if all their pixels that count are of one class."""
    indices, _ = data.parts
    seen = indices[:: -(-len(indices) // READ)] if data.crop else indices
    split = data.training_split()
    _, _, label = next(iter(split.stacks(seen[:1])))
    counts = split.label_counts(seen).numpy()
    masks = Masks(counts, data.class_names, data.source.ignore_index, len(indices), exclusive=label.ndim == 3)
    masks.check()
    return masks


def _palettes(data: SegmentationData) -> list[str]:
    samples = data.source.samples("train")
    note = palettes_note(data.source, samples[:: -(-len(samples) // READ)])
    return [note] if note else []


def _sets(data: SegmentationData) -> dict[str, Sequence]:
    """The samples that train, those held out, and those of the other splits."""
    train = data.source.samples("train")
    kept, held = ([train[i] for i in part] for part in data.parts)
    return {"train": kept, "hold-out": held, "val": data.source.samples("val"), "test": data.source.samples("test")}
