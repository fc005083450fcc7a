"""A file of JSON lines that survives a killed process: appended line by line, read without its torn end."""

from __future__ import annotations

import json
import os
from pathlib import Path

from autosegloss.errors import InputError
from autosegloss.files import sync_folder

STATE_FILE = "state.json"  # where a search stands; a folder that has it is the folder of a search
CARD_FILE = "theta.yaml"  # the theta card of the found loss; a search that has it is finished


class JsonLines:
    """One JSON object a line at `path`; every appended line is on the disk before `append` returns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._whole = False  # whether the file is known to end with a whole line

    def append(self, record: dict) -> None:
        """Write one record behind the others, cutting off the half line that a killed process left."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        if not self._whole:
            self._cut_torn_end()
        self._whole = False
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)
        self._whole = True

    def read(self) -> list[dict]:
        """All whole records, [] without a file; raises InputError on a damaged line that is not the last."""
        if not self.path.exists():
            return []
        *whole, _torn = self.path.read_bytes().split(b"\n")
        return [self._parse(line, number) for number, line in enumerate(whole, start=1)]

    def _parse(self, line: bytes, number: int) -> dict:
        try:
            return json.loads(line)
        except ValueError:
            raise InputError(f"{self.path}, line {number}: not a JSON record; remove the line or the file") from None

    def _cut_torn_end(self) -> None:
        if self.path.exists():
            content = self.path.read_bytes()
            os.truncate(self.path, content.rfind(b"\n") + 1)
