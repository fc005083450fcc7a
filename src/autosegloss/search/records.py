"""The record files of a search: their names, and files of JSON lines that survive a killed process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from autosegloss.errors import InputError
from autosegloss.files import sync_folder

# The files that a search writes into its folder.
STATE_FILE = "state.json"  # where a search stands; a folder that has it is the folder of a search
TRIALS_FILE = "trials.jsonl"  # one line per trial
STEPS_FILE = "steps.jsonl"  # one line per step
FAILURES_FILE = "failures.jsonl"  # one line per failed attempt of a run
PRIOR_FILE = "prior.json"  # the thetas of earlier searches that it began with
CARD_FILE = "theta.yaml"  # the theta card of the found loss, written when the search has chosen it


class JsonLines:
    """A file with one JSON object per line; `append` returns once the new line is on the disk."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._ends_whole = False  # whether the file is known to end with a complete line

    def append(self, record: dict[str, Any]) -> None:
        """Add one record; an incomplete last line, left by a killed process, is removed first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        if not self._ends_whole:
            self._remove_incomplete_line()
        self._ends_whole = False
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)
        self._ends_whole = True

    def read(self) -> list[dict[str, Any]]:
        """All records but an incomplete last one; [] if there is no file.

        Raises:
            InputError: A complete line is not a JSON object.
        """
        if not self.path.exists():
            return []
        *lines, _incomplete = self.path.read_bytes().split(b"\n")
        return [self._parse(line, number) for number, line in enumerate(lines, start=1)]

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise InputError(f"{self.path}, line {number}: not a JSON record; remove the line or the file")
        return record

    def _remove_incomplete_line(self) -> None:
        if self.path.exists():
            content = self.path.read_bytes()
            os.truncate(self.path, content.rfind(b"\n") + 1)
