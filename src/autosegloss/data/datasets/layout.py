"""Where the images and masks of a folder are: patterns of paths, partners, and files that belong to no pair."""

from __future__ import annotations

import glob
import os
import posixpath
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from autosegloss.data.datasets.images import IMAGE_SUFFIXES
from autosegloss.data.datasets.masks import MASK_SUFFIXES
from autosegloss.data.datasets.pairs import natural_key
from autosegloss.data.datasets.source import SPLITS
from autosegloss.errors import InputError

FIELDS = {"split", "parent", "stem", "path"}
ANY_SUFFIX = ".*"
_SPELT = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_TRIED = 20  # images of a split that tell whether a layout fits
_NO_DATA = {  # files that belong to a data set or to its folder, and are no images
    *("classes.txt", "classes.yaml", "labelmap.txt", "_classes.csv", "train.txt", "val.txt", "test.txt"),
    *("readme.md", "readme.txt", "license", "license.txt", "thumbs.db", "desktop.ini"),
}


class Pair(NamedTuple):
    """The paths of an image and of its mask, relative to the root."""

    image: str
    mask: str


@dataclass(frozen=True)
class Layout:
    """Patterns of the paths of images and masks below a root.

    Args:
        images: a pattern with `*`, `?` and `**` for any folders; {split} is "train", "val" or "test", or another
            spelling, such as "valid" and "validation".
        masks: the path of the mask of an image. {parent} is the folder of the image, {stem} its name without suffix,
            {path} its path below the part of `images` without wildcards, without suffix; a final `.*` is any suffix of
            masks.
    """

    images: str
    masks: str
    has_splits: bool = field(init=False)

    def __post_init__(self) -> None:
        for name in ("images", "masks"):
            _check_fields(f"data.source.{name}", getattr(self, name), {"split"} if name == "images" else FIELDS)
        object.__setattr__(self, "has_splits", "{split}" in self.images)

    def pairs(self, root: Path) -> list[Pair]:
        """The pairs below `root`, in natural order (2 before 10).

        Raises:
            InputError: for images without a mask, or of one mask, and if there are no images; it names them.
        """
        if not (pairs := self._pairs(root)):
            raise _no_image(root, _fixed(self.images), self.images)
        return pairs

    def fits(self, root: Path) -> bool:
        """Whether `root` has an image with its mask: one of the first few has."""
        folders = _Folders(root)
        images = (islice(self._masks(root, split).items(), _TRIED) for split in (SPLITS if self.has_splits else ("",)))
        return any(folders.find(mask) not in (None, image) for image, mask in chain.from_iterable(images))

    def _masks(self, root: Path, split: str) -> dict[str, str]:
        """Where the mask of each image should be."""
        for spelt in _SPELT.get(split, (split,)):
            pattern = self.images.format(split=spelt)
            base, masks = _fixed(pattern), {}
            for image in _matches(root, pattern):
                stem = posixpath.splitext(image)[0]
                below = posixpath.relpath(stem, base) if base else stem
                parent, name = posixpath.split(stem)
                mask = self.masks.format(split=spelt, parent=parent or ".", stem=name, path=below)
                masks[image] = posixpath.normpath(mask)
            if masks:
                return masks
        return {}

    def _pairs(self, root: Path, split: str = "") -> list[Pair]:
        folders, masks = _Folders(root), self._masks(root, split)
        found = {image: folders.find(mask) for image, mask in masks.items()}
        taken = {mask for image, mask in found.items() if mask != image}  # a pattern may fit masks, too
        alone = [image for image, mask in found.items() if mask in (None, image) and image not in taken]
        if alone:
            raise _without_mask(sorted(alone, key=natural_key), masks, folders)
        pairs = [Pair(image, mask) for image, mask in found.items() if mask not in (None, image)]
        pairs.sort(key=lambda pair: (natural_key(posixpath.splitext(pair.image)[0]), pair.image))
        _check_own_masks(pairs)
        return pairs

    def split_pairs(self, root: Path) -> dict[str, list[Pair]]:
        """The pairs of each split of a layout with {split}; raises InputError as `pairs`."""
        parts = {split: self._pairs(root, split) for split in SPLITS}
        empty = [
            _fixed(self.images.format(split=name)) for split in SPLITS if not parts[split] for name in _SPELT[split]
        ]
        for place in (place for place in empty if place and (root / place).is_dir()):
            raise _no_image(root, place, self.images)
        if not parts["train"]:
            raise _no_image(root, _fixed(self.images.format(split="train")), self.images.format(split="train"))
        return parts

    def unused(self, root: Path, pairs: Sequence[Pair]) -> list[str]:
        """The files below the fixed parts of both patterns, and images anywhere below `root`, that are of no pair."""
        used = {os.path.normpath(path) for pair in pairs for path in pair}
        names = [name for split in SPLITS for name in _SPELT[split]]
        places = {_fixed(pattern.replace("{split}", name)) for name in names for pattern in (self.images, self.masks)}
        found = {path for place in places for path in _files_below(root, place)}
        found |= {path for path in _files_below(root, "") if path.lower().endswith(IMAGE_SUFFIXES)}
        return sorted(found - used, key=natural_key)


def summary(paths: Sequence[str], most: int = 3) -> str:
    """The number of files by suffix, and the first of them."""
    kinds = Counter(posixpath.splitext(path)[1].lower() or "without suffix" for path in paths)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{len(paths)} ({counts}): {', '.join(paths[:most])}{', ...' if len(paths) > most else ''}"


def normal(name: str) -> str:
    """A file name in the Unicode normal form in which names are compared."""
    return unicodedata.normalize("NFC", name)


class _Folders:
    """Finds files by their path below a root; names that differ in the Unicode normal form alone are the same."""

    def __init__(self, root: Path):
        self.root = root
        self._listed: dict[str, dict[str, str]] = {}

    def find(self, path: str) -> str | None:
        """The path as it is spelt on disk; None if there is no such file, or with ANY_SUFFIX no mask."""
        folder, name = posixpath.split(path)
        if not name.endswith(ANY_SUFFIX):
            found = self._names(folder).get(normal(name))
            return None if found is None else posixpath.join(folder, found)
        stem = normal(name.removesuffix(ANY_SUFFIX))
        spelt = [self._names(folder).get(stem + suffix) for suffix in (*MASK_SUFFIXES, *map(str.upper, MASK_SUFFIXES))]
        masks = [name for name in spelt if name is not None]
        if len(masks) > 1:
            raise InputError(
                f"two masks of one name: {posixpath.join(folder, masks[0])} and {masks[1]}; keep one of them"
            )
        return posixpath.join(folder, masks[0]) if masks else None

    def of_stem(self, path: str) -> list[str]:
        """The files in the folder of `path` that share its stem, whatever their suffix."""
        folder, name = posixpath.split(path)
        stem = normal(posixpath.splitext(name)[0])
        return [posixpath.join(folder, s) for n, s in self._names(folder).items() if posixpath.splitext(n)[0] == stem]

    def _names(self, folder: str) -> dict[str, str]:
        """The names in a folder by their normal form."""
        if folder not in self._listed:
            path = self.root / folder
            names = os.listdir(path) if path.is_dir() else ()
            self._listed[folder] = {normal(name): name for name in names}
        return self._listed[folder]


def _matches(root: Path, pattern: str) -> Iterator[str]:
    """The image files that fit a pattern."""
    for path in glob.iglob(pattern, root_dir=root, recursive=True):
        if path.lower().endswith(IMAGE_SUFFIXES) and os.path.isfile(root / path):
            yield path.replace(os.sep, "/")


def _files_below(root: Path, place: str) -> Iterator[str]:
    for path in glob.iglob(posixpath.join(place, "**", "*"), root_dir=root, recursive=True):
        if os.path.isfile(root / path) and posixpath.basename(path).lower() not in _NO_DATA:
            yield path.replace(os.sep, "/")


def _fixed(pattern: str) -> str:
    """The folders at the beginning of a pattern that hold no wildcard and no field."""
    parts = pattern.split("/")[:-1]
    wild = (index for index, part in enumerate(parts) if any(character in part for character in "*?[{"))
    return "/".join(parts[: next(wild, len(parts))])


def _check_fields(name: str, pattern: str, known: set[str]) -> None:
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None}
    except ValueError as error:
        raise InputError(f"{name}={pattern}: {error}") from error
    if os.path.isabs(pattern):
        raise InputError(f"{name}={pattern}: expected a pattern below data.root, not from / on")
    if strange := sorted(fields - known):
        raise InputError(
            f"{name}={pattern}: unknown field {{{strange[0]}}}: expected {', '.join(f'{{{f}}}' for f in sorted(known))}"
        )


def _no_image(root: Path, place: str, pattern: str) -> InputError:
    """The error for a place without images; it says what else is there."""
    others = list(_files_below(root, place)) if (root / place).is_dir() else []
    found = f"found {summary(others)}" if others else "found no file"
    return InputError(f"{root}/{pattern} fits no image: expected files ending in {' '.join(IMAGE_SUFFIXES)}, {found}")


def _without_mask(alone: Sequence[str], masks: Mapping[str, str], folders: _Folders) -> InputError:
    named = ", ".join(alone[:3]) + (", ..." if len(alone) > 3 else "")
    expected = masks[alone[0]]
    if expected.endswith(ANY_SUFFIX):
        expected = f"{expected[: -len(ANY_SUFFIX)]}.png (or {' '.join(MASK_SUFFIXES[1:])})"
    message = f"{len(alone)} image(s) without a mask: {named}; expected {expected}"
    if others := folders.of_stem(masks[alone[0]]):
        message += f"; {others[0]} is of no lossless format: save masks as PNG, for JPEG and WebP change labels"
    return InputError(message)


def _check_own_masks(pairs: Sequence[Pair]) -> None:
    owner: dict[str, str] = {}
    for image, mask in pairs:
        if mask in owner:
            raise InputError(f"two images of one mask {mask}: {owner[mask]} and {image}; keep one of them")
        owner[mask] = image
