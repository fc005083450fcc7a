"""What a program says about its data before it trains: what the reader takes for granted, and what it doubts."""

from __future__ import annotations

from collections.abc import Sequence

from autosegloss.data.datamodule import SegmentationData
from autosegloss.data.survey import Masks, repeated, repeats_note

READ = 500  # masks on disk that are looked at; in memory all are


def notes(data: SegmentationData) -> list[str]:
    """A sentence for each assumption of the source and for each doubt about the data.

    All masks in memory are looked at, or of masks on disk up to 500, spread evenly over the training samples.

    Raises:
        InputError: for data of which nothing can be learnt: all training pixels are of one class.
    """
    indices, _ = data.parts
    seen = indices[:: -(-len(indices) // READ)] if data.crop else indices
    counts = data.training_split().label_counts(seen).numpy()
    masks = Masks(counts, data.class_names, data.source.ignore_index, len(indices))
    masks.check()
    pairs = repeated(_sets(data))
    return [*data.source.assumptions(), *masks.notes(), *([repeats_note(pairs)] if pairs else [])]


def _sets(data: SegmentationData) -> dict[str, Sequence]:
    """The samples that train, those held out, and those of the other splits."""
    train = data.source.samples("train")
    kept, held = ([train[i] for i in part] for part in data.parts)
    return {"train": kept, "hold-out": held, "val": data.source.samples("val"), "test": data.source.samples("test")}
