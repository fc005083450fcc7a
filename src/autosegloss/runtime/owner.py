"""The search that works in a folder: one at a time, and its trials end with it."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from autosegloss.errors import InputError
from autosegloss.files import write_whole

LOCK, RECORD = "search.lock", "owner.json"  # the record exists while the search runs


class Owner(NamedTuple):
    """A running search: its host and process, the `start_time` of that (None if unknown), and a unique token."""

    host: str
    process: int
    began: float | None
    token: str

    @classmethod
    def me(cls) -> Owner:
        """This process as an owner, with a new token."""
        return cls(socket.gethostname(), os.getpid(), start_time(os.getpid()), uuid.uuid4().hex)

    @classmethod
    def of(cls, directory: Path) -> Owner | None:
        """The owner of `directory`; None if no record names one."""
        try:
            return cls._read(directory)
        except (OSError, ValueError, TypeError):
            return None

    @classmethod
    def _read(cls, directory: Path) -> Owner:
        return cls(**json.loads((directory / RECORD).read_text()))

    @classmethod
    def watch(cls, directory: Path, token: str | None = None) -> Callable[[], bool]:
        """A function that tells whether the search that owns `directory` now still runs, with this token if given.

        It returns False at once if the search has ended already, and always True if none ever began.
        """
        owner = cls.of(directory)
        if owner is None:
            never = not (directory / LOCK).exists()
            return lambda: never

        def is_alive() -> bool:
            try:
                same = cls._read(directory) == owner and token in (None, owner.token)
            except FileNotFoundError:
                return False
            except (OSError, ValueError, TypeError):  # a network disk that fails for a moment
                same = True
            return same and owner.lives()

        return is_alive

    def lives(self) -> bool:
        """Whether its process runs; that of another host counts as running."""
        if not self.is_here():
            return True
        now = start_time(self.process)
        return now is not None and (self.began is None or abs(now - self.began) < 1)

    @classmethod
    def renew(cls, directory: Path) -> None:
        """Give this process's search in `directory` another token: what it launched before ends."""
        write_whole(directory / RECORD, json.dumps(cls.me()._asdict()))

    def is_here(self) -> bool:
        """Whether it runs on this host."""
        return self.host == socket.gethostname()


class Ownership(AbstractContextManager):
    """Holds `directory` for this process.

    Raises InputError if another search runs in the directory, OSError if it cannot be written.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._lock = ExitStack()

    def __enter__(self) -> Ownership:
        if not self._locked():
            other = Owner.of(self._directory)
            who = f" (process {other.process} on {other.host})" if other else ""
            raise InputError(f"a search is running in {self._directory}{who}: wait for it, or choose another folder")
        Owner.renew(self._directory)
        return self

    def __exit__(self, *_: object) -> None:
        (self._directory / RECORD).unlink(missing_ok=True)
        self._lock.close()

    def _locked(self) -> bool:
        (self._directory / LOCK).touch()  # an OSError of this is not one of the lock
        try:
            self._lock.enter_context(FileLock(self._directory / LOCK).acquire(blocking=False))
        except Timeout:
            return False
        except (OSError, NotImplementedError):  # the file system has no locks: the record decides
            other = Owner.of(self._directory)
            return other is None or not (other.is_here() and other.lives())
        return True


def start_time(process: int) -> float | None:
    """Seconds between the boot of this host and the start of a process; None if it has ended, or is a zombie.

    It tells a process from a later one with the same number. Unlike the time of day at the start it does not change
    when the clock is set.
    """
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time() - psutil.boot_time()
    except psutil.Error:
        return None
