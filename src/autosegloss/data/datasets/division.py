"""Dividing a folder without splits of its own: by lists of names, or at random, in whole groups, with all classes."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from autosegloss.data.datasets.class_table import listed
from autosegloss.data.datasets.layout import normal
from autosegloss.data.datasets.listed import read_lines
from autosegloss.data.datasets.source import SPLITS
from autosegloss.data.holdout import draw
from autosegloss.errors import InputError, is_number

Indices = dict[str, list[int]]


def by_lists(paths: Sequence[str], lists: Mapping[str, Path]) -> Indices:
    """The indices of each split that a list names, in the order of the list.

    Args:
        paths: of all images, relative to the root.
        lists: {split: file} with an image a line: its path below the root, the end of that path, or its stem.

    Raises:
        InputError: for a name that no image or more than one has, and for an image that is named twice.
    """
    index = _by_name(paths)
    parts: Indices = {split: [] for split in SPLITS}
    where: dict[int, str] = {}
    for split, path in lists.items():
        names = [_below_root(line) for line in read_lines(path)]
        chosen = [index.get(name) or index.get(name.split()[0]) or [] for name in names]
        if strange := [name for name, found in zip(names, chosen, strict=True) if len(found) != 1]:
            raise InputError(
                f"{path}: {len(strange)} of {len(names)} names fit no image, or several: {listed(strange, 3)}; "
                "expected paths below the root, or stems"
            )
        for (i,) in chosen:
            if i in where:
                raise InputError(f"{paths[i]} is named twice, in {where[i]} and {path}; keep one of the lines")
            where[i] = str(path)
        parts[split] = [i for (i,) in chosen]
    return parts


def at_random(
    count: int,
    fractions: Mapping[str, float],
    seed: int,
    block: int = 1,
    groups: Sequence[str] | None = None,
    classes: Sequence[frozenset[int]] | None = None,
) -> Indices:
    """The indices of each split of `count` images, drawn with `seed`; "train" has what the others leave.

    Args:
        count: the number of images.
        fractions: {split: share of the images}, in the order in which they are drawn.
        seed: of the draw.
        block: the number of neighbours that stay together.
        groups: the group of each image, in place of blocks; images of one group stay together.
        classes: the classes of each image; every split then gets its share of the images of each class.

    Raises:
        InputError: for fractions that leave nothing to train on, and a split without an image.
    """
    if not all(is_number(share) and share >= 0 for share in fractions.values()) or sum(fractions.values()) >= 1:
        shown = " and ".join(f"{split}_fraction={share!r}" for split, share in reversed(list(fractions.items())))
        raise InputError(f"{shown} leave nothing to train on: they must be fractions of 0 or more whose sum is below 1")
    wanted = {split: round(share * count) for split, share in fractions.items()}
    if classes is not None:
        return _stratified(
            _units(count, block, groups), classes, {"train": count - sum(wanted.values()), **wanted}, seed
        )
    rest, parts = list(range(count)), dict[str, list[int]]()
    for split, number in wanted.items():
        parts[split] = []
        if number:
            own = None if groups is None else [groups[i] for i in rest]
            kept, taken = draw(len(rest), number, block, seed, own)
            rest, parts[split] = [rest[i] for i in kept], [rest[i] for i in taken]
    return {"train": rest, **parts}


def groups_of(paths: Sequence[str], expression: str) -> list[str]:
    """The group of each image: what a regular expression, or its first group, finds in the path.

    Raises:
        InputError: for an expression that cannot be read, or that finds nothing in a path.
    """
    try:
        found = [re.search(expression, path) for path in paths]
    except re.error as error:
        raise InputError(f"data.source.group={expression}: no regular expression ({error})") from error
    if alone := [path for path, match in zip(paths, found, strict=True) if match is None]:
        raise InputError(
            f"data.source.group={expression} finds no group in {len(alone)} of {len(paths)} paths: {alone[0]}, "
            "for example; the expression must fit all"
        )
    return [match.group(1 if match.groups() else 0) for match in found if match is not None]


def _below_root(line: str) -> str:
    """A line of a list, its paths as they are compared: lists may write them from / or ./ on, or with backslashes."""
    return " ".join(normal(word.replace("\\", "/").removeprefix("./").lstrip("/")) for word in line.split(" "))


def _by_name(paths: Sequence[str]) -> dict[str, list[int]]:
    """The images by all names that a list may use: every end of their path, with and without suffix."""
    index: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        parts = normal(path).split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            index[end].append(i)
            index[posixpath.splitext(end)[0]].append(i)
    return index


def _units(count: int, block: int, groups: Sequence[str] | None) -> list[list[int]]:
    """The images that stay together: those of a group, or of a block of neighbours."""
    units: dict[object, list[int]] = defaultdict(list)
    for i in range(count):
        units[i // block if groups is None else groups[i]].append(i)
    return list(units.values())


def _stratified(
    units: Sequence[Sequence[int]], classes: Sequence[frozenset[int]], wanted: Mapping[str, int], seed: int
) -> Indices:
    """Iterative stratification (Sechidis et al. 2011): the rarest class first, each unit to the split that lacks most.

    wanted: {split: number of images}. A split lacks its share of the images of a class, or of all images.
    """
    held = [Counter(c for i in unit for c in classes[i]) for unit in units]
    count, images = sum(wanted.values()), Counter(c for each in classes for c in each)
    lack = {split: {c: number * n / count for c, n in images.items()} for split, number in wanted.items()}
    room: dict[str, float] = {split: float(number) for split, number in wanted.items() if number}
    rng = np.random.default_rng(seed)
    left = dict.fromkeys(rng.permutation(len(units)).tolist())
    parts: Indices = {split: [] for split in wanted}
    while left:
        ahead = Counter(c for u in left for c in held[u])
        rarest = min(ahead, key=lambda c: (ahead[c], c)) if ahead else None
        for u in [u for u in left if rarest is None or rarest in held[u]]:
            split = max(room, key=lambda s: (lack[s].get(rarest, 0.0) if rarest is not None else 0.0, room[s]))
            del left[u]
            parts[split].extend(units[u])
            room[split] -= len(units[u])
            for c, n in held[u].items():
                lack[split][c] -= n
    if empty := [split for split in room if not parts[split]]:
        raise InputError(
            f"stratify leaves the split '{empty[0]}' without an image: {len(units)} units are too few for it"
        )
    return {split: sorted(part) for split, part in parts.items()}
