"""Who works in a folder: one search at a time, and its trainings end with it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from autosegloss.errors import InputError

FILE = "search.lock"


class Owner(NamedTuple):
    """A running search: its process and the host of that."""

    host: str
    process: int
    token: str

    @classmethod
    def me(cls) -> Owner:
        return cls(socket.gethostname(), os.getpid(), uuid.uuid4().hex)

    @classmethod
    def of(cls, directory: Path) -> Owner | None:
        """Who works in `directory`; None where nobody does."""
        try:
            return cls(**json.loads((directory / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def lives(self) -> bool:
        """Whether its process runs; one on another host is taken to."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Ownership(AbstractContextManager):
    """Holds `directory` for this process; InputError where another search runs in it."""

    def __init__(self, directory: Path):
        self._directory, self._file = directory, None

    def __enter__(self) -> Ownership:
        self._file = (self._directory / FILE).open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = Owner.of(self._directory)
            who = f" (process {other.process} on {other.host})" if other else ""
            raise InputError(
                f"a search is running in {self._directory}{who}: wait for it, or choose another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        self._write(json.dumps(Owner.me()._asdict()))
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()
