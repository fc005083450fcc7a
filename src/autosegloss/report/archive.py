"""Finds the runs and searches below folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from omegaconf.errors import OmegaConfBaseException

from autosegloss.errors import InputError
from autosegloss.files import short_path
from autosegloss.report.runs import Run, SearchFolder
from autosegloss.search.records import CARD_FILE, STATE_FILE
from autosegloss.training.outcome import RESULT

_DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException)


@dataclass
class Archive:
    """All runs and searches below `folders`.

    Args:
        folders: the folders that were given.
        runs: finished trainings.
        searches: searches, finished or not.
        unfinished: folders of runs and searches without a result.
        unreadable: a text for each folder that is damaged.
    """

    folders: list[Path] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    searches: list[SearchFolder] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Archive:
        """Read folders of train.py or search.py, multiruns, or folders above these; each run counts once.

        Raises:
            InputError: a folder is missing or may not be read.
        """
        archive, found = cls(list(folders)), dict[Path, Path]()
        for folder in archive.folders:
            if not folder.is_dir():
                raise InputError(f"there is no folder {folder}: give folders of train.py or search.py, or above these")
            try:
                for path in _run_folders(folder):
                    found.setdefault(path.resolve(), path)
            except OSError as error:
                raise InputError(f"{folder} cannot be read ({error}): give folders that you may read") from error
        for path in found.values():
            archive._add(path)
        return archive

    def _add(self, path: Path) -> None:
        is_search = (path / STATE_FILE).exists()
        finished = (path / (CARD_FILE if is_search else RESULT)).exists()
        if not finished:
            self.unfinished.append(path)
        try:
            if is_search:
                self.searches.append(SearchFolder.load(path))
            elif finished:
                self.runs.append(Run.load(path))
        except _DAMAGES as error:
            reason = " ".join(str(error).split())[:120]
            self.unreadable.append(f"{short_path(path)} ({type(error).__name__}: {reason})")


def _run_folders(folder: Path) -> Iterator[Path]:
    """The folders of runs and searches in or below `folder`; of a search only its comparison, not its trials."""
    if (folder / ".hydra").is_dir():
        yield folder
        return
    is_search = (folder / STATE_FILE).exists()
    if is_search:
        yield folder
    for child in sorted((folder / "comparison" if is_search else folder).glob("*/")):
        yield from _run_folders(child)
