"""The tables of a folder's classes: read from classes.yaml, classes.txt, or the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from autosegloss.data.datasets.class_table import (
    IGNORE,
    Classes,
    Colour,
    Entry,
    checked_names,
    classes_of,
    listed,
    plain_classes,
)
from autosegloss.data.datasets.listed import read_lines
from autosegloss.errors import InputError, is_whole

NAMES_FILE, TABLE_FILE = "classes.txt", "classes.yaml"

Labels = tuple[tuple[int, int | str], ...]
Colours = tuple[tuple[str, tuple[Colour, ...]], ...]


def classes_in(root: Path, ignore_index: int | None, unknown: str, usual: Sequence[str] = ()) -> Classes:
    """The classes that the first of the files in `root` describes: a table, or names for the values from 0 on.

    Without such a file they are the usual ones; raises InputError if there are none.
    """
    for name, read in TABLES.items():
        if path := next((folder / name for folder in (root, root / "train") if (folder / name).is_file()), None):
            return classes_of(read(path), str(path), ignore_index, unknown)
    names = root / NAMES_FILE
    if names.is_file():
        return plain_classes(read_class_names(names), ignore_index)
    if usual:
        return plain_classes(usual, ignore_index)
    raise InputError(
        f"number of classes unknown: set data.source.classes=N, list their names in {names}, one a line, or let "
        f"`python -m autosegloss.data check` propose a {TABLE_FILE}"
    )


def read_table(path: Path) -> list[Entry]:
    """The entries of a classes.yaml: a list of {name, id, colour}, and `ignore: true` for pixels that count nowhere.

    `id` is a mask value or a list of them; `colour` is [R,G,B] or a list of these.

    Raises:
        InputError: for a file of another form.
    """
    try:
        rows = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); correct the file") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a list of classes, each as {{name: road, id: 7, colour: [128, 64, 128]}}")
    return [_entry(f"{path}, entry {number}", row) for number, row in enumerate(rows, start=1)]


def read_label_map(path: Path) -> list[Entry]:
    """The entries of CVAT's labelmap.txt, lines of "name:R,G,B:parts:actions"; raises InputError for another form."""
    rows = [line.split(":") for line in read_lines(path) if not line.startswith("#")]
    if not all(len(row) > 1 and all(part.strip().isdecimal() for part in row[1].split(",")) for row in rows):
        raise InputError(f"{path}: expected lines of name:R,G,B::, as CVAT writes them; correct the file")
    return [Entry(row[0], colours=_colours(str(path), [int(part) for part in row[1].split(",")])) for row in rows]


def read_values_file(path: Path) -> list[Entry]:
    """The entries of Roboflow's _classes.csv, a header and rows "value, name"; raises InputError for another form."""
    rows = [[cell.strip() for cell in line.split(",", 1)] for line in read_lines(path)[1:]]
    if not all(len(row) == 2 and row[0].isdecimal() for row in rows):
        raise InputError(
            f"{path}: expected a header and rows of value, name, as Roboflow writes them; correct the file"
        )
    return [Entry(name, _values(str(path), int(value))) for value, name in rows]


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of a classes.txt, one a line; raises InputError if it is no text, empty, or holds a name twice."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: its text is not UTF-8; save it as such") from None
    return checked_names(str(path), [line.strip() for line in lines if line.strip()])


def entries_of(
    classes: int | tuple[str, ...] | None, labels: Labels, colours: Colours, ignore_index: int | None
) -> list[Entry]:
    """The table of the settings: `labels`, pairs of a mask value and a class, by name or index, and `colours`.

    Without `classes` the names follow from the table, in its order, or the number from the largest index.

    Raises:
        InputError: for a class that `classes` lacks.
    """
    numbers = [target for _, target in labels if not isinstance(target, str) and target != ignore_index]
    if isinstance(classes, tuple):
        names = list(classes)
    else:
        names = [f"class {i}" for i in range(classes or max(numbers, default=-1) + 1)]
    entries = [Entry(name) for name in names]
    entries += [Entry(_target(target, names, ignore_index), values=(value,)) for value, target in labels]
    entries += [Entry(name, colours=each) for name, each in colours]
    if names and (strangers := sorted({entry.name for entry in entries} - {*names, IGNORE})):
        raise InputError(f"data.source.labels or colours name {listed(strangers)}, but the classes are {listed(names)}")
    return entries


def checked_labels(labels: Mapping[Any, Any]) -> Labels:
    """The setting {mask value: class} as pairs; raises InputError unless classes are names or indices."""
    for target in labels.values():
        if not isinstance(target, str) and not is_whole(target, least=0):
            raise InputError(f"data.source.labels: expected {{mask value: class}}, by name or index, got {target!r}")
    return tuple((_values("data.source.labels", value)[0], target) for value, target in labels.items())


def checked_colours(colours: Mapping[str, Any]) -> Colours:
    """The setting {class: colour or colours} as pairs; raises InputError for another form."""
    return tuple((str(name), _colours(f"data.source.colours.{name}", each)) for name, each in colours.items())


def _entry(where: str, row: Mapping[str, Any]) -> Entry:
    if strange := set(row) - {"name", "id", "colour", "color", "ignore"}:
        raise InputError(f"{where}: unknown key {', '.join(map(str, strange))}: expected name, id, colour, ignore")
    name = IGNORE if row.get("ignore") else row.get("name")
    if name is None:
        raise InputError(f"{where}: it has no name")
    values, colours = row.get("id"), row.get("colour", row.get("color"))
    if values is None and colours is None:
        raise InputError(f"{where}: expected an id, a colour, or both")
    return Entry(str(name), _values(where, values), _colours(where, colours))


def _values(where: str, values: Any) -> tuple[int, ...]:
    """One mask value, or several, as a tuple; raises InputError unless they are integers from 0 to 65535."""
    found = () if values is None else tuple(values) if isinstance(values, Iterable) else (values,)
    if isinstance(values, str) or not all(is_whole(value, least=0) and value < 2**16 for value in found):
        raise InputError(f"{where}: expected a mask value from 0 to 65535 or a list of them, got {values!r}")
    return tuple(int(value) for value in found)


def _colours(where: str, colours: Any) -> tuple[Colour, ...]:
    """One colour [R,G,B], or several, as a tuple; raises InputError for anything else."""
    if colours is None:
        return ()
    several = colours if isinstance(colours, Sequence) and not isinstance(colours, str) else [colours]
    several = [several] if several and not isinstance(several[0], Sequence) else several
    for colour in several:
        if (
            not isinstance(colour, Sequence)
            or isinstance(colour, str)
            or len(colour) != 3
            or not all(is_whole(part, 0) and part < 256 for part in colour)
        ):
            raise InputError(
                f"{where}: expected a colour [R,G,B] of numbers from 0 to 255 or a list of them, got {colours!r}"
            )
    return tuple((int(red), int(green), int(blue)) for red, green, blue in several)


def _target(target: int | str, names: Sequence[str], ignore_index: int | None) -> str:
    """The name of the class that a mask value means."""
    if isinstance(target, str):
        return target
    if target == ignore_index and target >= len(names):
        return IGNORE
    if target >= len(names):
        raise InputError(f"data.source.labels: class {target} does not exist: expected 0..{len(names) - 1} or {IGNORE}")
    return names[target]


TABLES: dict[str, Callable[[Path], list[Entry]]] = {
    TABLE_FILE: read_table,
    "labelmap.txt": read_label_map,
    "_classes.csv": read_values_file,
}
"""The tables that are looked for in a folder, and how each is read."""
