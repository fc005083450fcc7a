"""Selects the runs or searches that fill the rows of a table, and explains why the others fill none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from autosegloss.files import short_path
from autosegloss.report.archive import Archive
from autosegloss.report.runs import Run, SearchFolder

_LISTED = 10  # items that a note names at most

Item = TypeVar("Item", Run, SearchFolder)


class Selection(Generic[Item]):
    """Selects items row by row and remembers why the others fill no row.

    Args:
        items: runs, or folders of searches.
    """

    def __init__(self, items: Sequence[Item]):
        self._items: Sequence[Item] = items
        self._superseded: list[str] = []
        self._deviations: dict[Path, list[str]] = {}  # of each item from the row that it is nearest to

    def row(self, deviations_of: Callable[[Item], list[str] | None]) -> list[Item]:
        """The items that fill a row: for each seed the newest, in the order of the seeds.

        Args:
            deviations_of: how an item deviates from the row, [] if it fills the row, None if it is of another kind.
        """
        newest: dict[int, Item] = {}
        filling = [item for item in self._items if self._compare(item, deviations_of(item))]
        for item in sorted(filling, key=lambda item: item.written):
            newest[item.seed] = item
        for item in filling:
            if item is not (kept := newest[item.seed]):
                self._superseded.append(f"{item} is left out: its seed {item.seed} is that of the newer {kept}")
        return [newest[seed] for seed in sorted(newest)]

    def _compare(self, item: Item, deviations: list[str] | None) -> bool:
        """Whether the item fills the row; keeps its deviations if no other row is nearer."""
        if deviations is None:
            return False
        nearest = self._deviations.get(item.path, deviations)
        self._deviations[item.path] = min(nearest, deviations, key=len)
        return not deviations

    def notes(self, kind: str, archive: Archive) -> list[str]:
        """Notes on all that fill no row; `kind` is the plural of the items ("runs") and `archive` their origin."""
        folders = ", ".join(str(short_path(folder)) for folder in archive.folders)
        missing: list[str] = [f"no {kind} found below {folders}"] if folders and not self._items else []
        lists: dict[str, list[str]] = {
            "deviates": [f"{item}: {'; '.join(d)}" for item in self._items if (d := self._deviations.get(item.path))],
            "not in this table": [str(item) for item in self._items if item.path not in self._deviations],
            "no result yet": [str(short_path(path)) for path in archive.unfinished],
            "could not be read": archive.unreadable,
        }
        return [*missing, *self._superseded, *(_listing(title, names) for title, names in lists.items() if names)]


def _listing(title: str, names: Sequence[str]) -> str:
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    bullets = "".join(f"\n  - {name}" for name in [*names[:_LISTED], *more])
    return f"{title}, {len(names)} in all:{bullets}"
