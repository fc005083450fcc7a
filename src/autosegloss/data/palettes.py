"""Palettes of masks: where they differ, an index does not mean the same in all files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from autosegloss.data.datasets.folder import Folder
from autosegloss.data.datasets.source import Sample, Source


def palettes_note(source: Source, samples: Sequence[Sample]) -> str | None:
    """A sentence about palettes that differ, in a folder whose masks are read by their indices; None if all agree."""
    if not isinstance(source, Folder) or (source.mask_table and not source.mask_table.values):
        return None
    pair = differing_palettes([Path(sample.mask) for sample in samples if sample.mask])
    if pair is None:
        return None
    return (
        f"masks have different palettes, as {pair[0]} and {pair[1]}: their indices may not mean the same; to read them "
        "by colours set 'data.source.colours={NAME: [R,G,B], ...}'"
    )


def differing_palettes(masks: Sequence[Path]) -> tuple[Path, Path] | None:
    """Two palette masks whose palettes differ, so that an index may mean two things; None if there are none."""
    first: tuple[Path, bytes] | None = None
    for path in masks:
        try:
            with Image.open(path) as picture:
                palette = bytes(picture.getpalette() or b"") if picture.mode == "P" else b""
        except (OSError, SyntaxError, ValueError):  # reported as unreadable elsewhere
            continue
        if palette and first is None:
            first = path, palette
        if palette and first is not None and palette != first[1]:
            return first[0], path
    return None
