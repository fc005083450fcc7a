"""Lengths on images and volumes: in pixels, as a fraction of the diagonal, or in millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from autosegloss.algebra.morphology import Window
from autosegloss.errors import InputError, is_number, positive

Spacing = float | Sequence[float]
"""The millimetres of a pixel: one number, or one for each axis, as (D, H, W) or (H, W)."""

_SLACK = 1 + 1e-6  # a spacing in float32, such as 0.8 mm, is a little off: five pixels of it are 4 mm


def check_extent(what: str, extent: float, remedy: str = "") -> None:
    """Raise InputError unless `extent` is a whole number of pixels or a fraction of the diagonal."""
    if not is_number(extent) or not (0 < extent < 1 or (extent >= 1 and float(extent).is_integer())):
        raise InputError(
            f"{what} must be a whole number of pixels >= 1 or a fraction of the image diagonal in (0, 1), "
            f"got {extent!r}{remedy}"
        )


def checked_spacing(what: str, extent: float, spacing: Spacing | None) -> tuple[float, ...] | None:
    """The spacing as a tuple of 1 to 3 numbers; raises InputError unless it and the extent have a meaning together."""
    if spacing is None:
        check_extent(what, extent, remedy="; for millimetres give spacing, the size of a pixel")
        return None
    sizes = tuple(spacing) if isinstance(spacing, Iterable) else (spacing,)
    if not 1 <= len(sizes) <= 3 or not all(is_number(size) and size > 0 for size in sizes):
        raise InputError(f"spacing must be a number of millimetres above 0, or one for each axis, got {spacing!r}")
    if positive(what, extent) * _SLACK < min(sizes):
        raise InputError(f"{what} must be {min(sizes):g} mm or more, the size of a pixel by spacing, got {extent!r}")
    return tuple(map(float, sizes))


def window(extent: float, shape: Sequence[int], spacing: Spacing | None) -> Window:
    """The sides of the box whose pixels lie within `extent` of its middle along each axis of images of `shape`.

    Images take the last two of three spacings, as slices of a volume. Raises InputError for fewer spacings than axes.
    """
    if spacing is None:
        return 2 * radius(extent, shape) + 1
    sizes = tuple(spacing) if isinstance(spacing, Iterable) else (spacing,)
    sizes = sizes * len(shape) if len(sizes) == 1 else sizes[-len(shape) :]
    if len(sizes) != len(shape):
        raise InputError(f"spacing has {len(sizes)} numbers for {len(shape)} axes: give one for each axis")
    sides = tuple(2 * int(extent / size * _SLACK) + 1 for size in sizes)
    return sides[0] if len(set(sides)) == 1 else sides


def radius(extent: float, shape: Sequence[int]) -> int:
    """The pixels of `extent`: a number of pixels, or below 1 a fraction of the diagonal of `shape` (at least 1)."""
    return int(extent) if extent >= 1 else max(1, round(extent * math.hypot(*shape)))
