"""The classes of a data set, and what the values or colours of its masks mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from autosegloss.data.datasets.masks import MaskTable, read_mask
from autosegloss.errors import InputError

IGNORE = "ignore"  # in place of a class: such pixels count nowhere
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Entry:
    """A class, or IGNORE, with the mask values and colours that mean it."""

    name: str
    values: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()


@dataclass(frozen=True)
class Classes:
    """The classes of a data set, how its masks are read, and what that takes for granted.

    Args:
        names: one per class, in the order of the labels.
        read: reads a mask file into labels, uint8 (H, W).
        said: what is taken for granted, a sentence each.
    """

    names: tuple[str, ...]
    read: Callable[[Path], Tensor] = read_mask
    said: tuple[str, ...] = ()


def plain_classes(classes: int | Sequence[str], ignore_index: int | None) -> Classes:
    """The classes whose labels are the mask values themselves, by their number or their names."""
    names = tuple(classes) if isinstance(classes, Sequence) else tuple(f"class {i}" for i in range(classes))
    check_count(len(names), ignore_index)
    ignored = f", {ignore_index} is ignored" if ignore_index is not None else ", no value is ignored"
    return Classes(names, said=(f"mask values 0..{len(names) - 1} are the classes {listed(names)}{ignored}",))


def classes_of(entries: Sequence[Entry], where: str, ignore_index: int | None, unknown: str) -> Classes:
    """The classes of a table, in the order in which it names them.

    Args:
        entries: the table.
        where: its name in messages.
        ignore_index: the label of pixels that count nowhere; None if every pixel counts.
        unknown: "error" or "ignore": what becomes of values and colours that the table lacks.

    Raises:
        InputError: for a table that contradicts itself, names no class, or ignores pixels without an ignore_index.
    """
    names = checked_names(where, list(dict.fromkeys(entry.name for entry in entries if entry.name != IGNORE)))
    check_count(len(names), ignore_index)
    label = {name: index for index, name in enumerate(names)}
    if ignore_index is not None and ignore_index < len(names):
        raise InputError(
            f"{where}: ignore_index={ignore_index} is class '{names[ignore_index]}': leave it at 255; a table says by "
            "itself what is ignored"
        )
    if ignore_index is not None:
        label[IGNORE] = ignore_index
    elif unknown == IGNORE or len(names) < len({entry.name for entry in entries}):
        raise InputError(f"{where}: pixels are to be ignored, and ignore_index is null: set it to 255")
    values = [(value, label[entry.name]) for entry in entries for value in entry.values]
    colours = [(_packed(colour), label[entry.name]) for entry in entries for colour in entry.colours]
    _check_once(where, [value for value, _ in values], [colour for colour, _ in colours])
    if values and ignore_index is not None and ignore_index not in dict(values):
        values.append((ignore_index, ignore_index))
    table = MaskTable(tuple(values), tuple(colours), label[IGNORE] if unknown == IGNORE else None)
    others = "ignored" if unknown == IGNORE else "an error"
    return Classes(names, table, (f"{where} gives the classes {listed(names)}; what it lacks is {others}",))


def checked_names(where: str, names: Sequence[Any]) -> tuple[str, ...]:
    """The names of the classes; raises InputError if the list is empty or holds a name twice."""
    if not names:
        raise InputError(f"{where}: no class is named; list the names")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{where}: named twice: {', '.join(map(str, twice))}; classes need names of their own")
    return tuple(names)


def check_count(count: int, ignore_index: int | None) -> None:
    """Raise InputError unless `count` classes can be told apart, and from the pixels to ignore, in 8 bits."""
    if count == 1:
        raise InputError(
            "data.source.classes=1: one class leaves nothing to tell apart; an object and its background are 2"
        )
    if count > 256:
        raise InputError(f"data.source.classes: expected 256 classes or fewer, got {count}; labels have 8 bits")
    if count == 256 and ignore_index == 255:
        raise InputError("256 classes, and ignore_index=255 ignores the last: set data.source.ignore_index=null")


def _packed(colour: Colour) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _check_once(where: str, values: Sequence[int], colours: Sequence[int]) -> None:
    for kind, found in (("value", values), ("colour", colours)):
        if twice := [each for each, count in Counter(found).items() if count > 1]:
            shown = f"#{twice[0]:06x}" if kind == "colour" else twice[0]
            raise InputError(f"{where}: the {kind} {shown} has two meanings; keep one of them")


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first names, and how many there are."""
    return ", ".join(map(str, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")
