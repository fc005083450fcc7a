"""Who works in a folder: one search at a time, and its trainings end with it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from autosegloss.errors import InputError
from autosegloss.files import write_whole

LOCK, RECORD = "search.lock", "owner.json"  # the record is there as long as the search runs


class Owner(NamedTuple):
    """A running search: its process, the host of that, when it began (where that is known) and a name of its own."""

    host: str
    process: int
    began: str | None
    token: str

    @classmethod
    def me(cls) -> Owner:
        return cls(socket.gethostname(), os.getpid(), _beginning(os.getpid()), uuid.uuid4().hex)

    @classmethod
    def of(cls, directory: Path) -> Owner | None:
        """Who works in `directory`; None where nobody does."""
        try:
            return cls._read(directory)
        except (OSError, ValueError, TypeError):
            return None

    @classmethod
    def _read(cls, directory: Path) -> Owner:
        return cls(**json.loads((directory / RECORD).read_text()))

    @classmethod
    def watch(cls, directory: Path, token: str | None = None) -> Callable[[], bool]:
        """A function that says whether the search that works in `directory` now still does, under this token if any.

        It says no at once where one has ended already, and always yes where none ever began.
        """
        owner = cls.of(directory)
        if owner is None:
            never = not (directory / LOCK).exists()
            return lambda: never

        def wanted() -> bool:
            try:
                same = cls._read(directory) == owner and token in (None, owner.token)
            except FileNotFoundError:
                return False
            except (OSError, ValueError, TypeError):  # a network disk that hesitates tells nothing
                same = True
            return same and owner.lives()

        return wanted

    def lives(self) -> bool:
        """Whether its process runs; one on another host is taken to."""
        if not self.is_here():
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _beginning(self.process) == self.began

    @classmethod
    def renew(cls, directory: Path) -> None:
        """Give this process's search in `directory` another token: it disowns all it has launched before."""
        write_whole(directory / RECORD, json.dumps(cls.me()._asdict()))

    def is_here(self) -> bool:
        """Whether it runs on this host."""
        return self.host == socket.gethostname()


class Ownership(AbstractContextManager):
    """Holds `directory` for this process; InputError where another search runs in it, OSError where none can."""

    def __init__(self, directory: Path):
        self._directory, self._file = directory, None

    def __enter__(self) -> Ownership:
        self._file = (self._directory / LOCK).open("a")
        if not self._locked():
            self._file.close()
            other = Owner.of(self._directory)
            who = f" (process {other.process} on {other.host})" if other else ""
            raise InputError(f"a search is running in {self._directory}{who}: wait for it, or choose another folder")
        Owner.renew(self._directory)
        return self

    def __exit__(self, *_: object) -> None:
        (self._directory / RECORD).unlink(missing_ok=True)
        self._file.close()

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: what is written there must do
            other = Owner.of(self._directory)
            return other is None or not (other.is_here() and other.lives())
        return True


def _beginning(process: int) -> str | None:
    """When a process of this host began, in ticks of its clock; None where it has ended or that cannot be known.

    The number of a process that has ended is given to others, and stays that of a zombie until it was waited for.
    """
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]
