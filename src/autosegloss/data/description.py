"""What a run takes its data for, to stand beside its results."""

from __future__ import annotations

from typing import Any

from autosegloss.data.datamodule import SegmentationData
from autosegloss.data.datasets.source import SPLITS
from autosegloss.data.notes import doubts


def describe(data: SegmentationData, read: bool = True) -> dict[str, Any]:
    """The classes, the numbers of images, and sentences on assumptions and doubts, in plain types.

    Args:
        data: the data of a run.
        read: whether the training masks are read, too, to find what is doubtful about them.

    Raises:
        InputError: there is nothing to learn from the masks.
    """
    source = data.source
    return {
        "source": repr(source),
        "classes": [str(name) for name in data.class_names],
        "ignore_index": source.ignore_index,
        "bands": source.channels,
        "images": {split: len(source.samples(split)) for split in SPLITS} | {"held out": len(data.parts[1])},
        "notes": [str(line) for line in source.assumptions()],
        "warnings": doubts(data) if read else [],
    }
