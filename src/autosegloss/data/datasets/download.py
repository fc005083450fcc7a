"""Data sets fetched from where they are published: once, by one process, and there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from autosegloss.errors import InputError

# What a host, a disk or a broken archive makes torchvision raise; its RuntimeError is a wrong checksum.
_FAILURES = (OSError, HTTPException, RuntimeError, tarfile.TarError, EOFError, zlib.error)


def fetch(target: Path, there: Callable[[], bool], get: Callable[[Path], Path], remedy: str) -> None:
    """Have the folder `target`, unless what it stands for is `there`; other processes that ask meanwhile wait.

    get: downloads into a draft folder beside `target` and returns the folder in it that is to become `target`.
        Archives that a failed attempt left in the draft folder are kept for the next one.
    Raises InputError, with the remedy, if it cannot be had, or if an incomplete `target` is in the way.
    """
    if there():
        return
    draft = target.with_name(f".{target.name}.download")
    try:
        with _alone(target.with_name(f".{target.name}.lock")):
            if there():
                return
            if target.exists():
                raise InputError(f"{target} is there, but not as it should be: move it away or complete it; {remedy}")
            _begin(draft)
            os.rename(get(draft), target)
            shutil.rmtree(draft)
    except InputError:
        raise
    except _FAILURES as error:
        raise InputError(f"{target} cannot be downloaded ({' '.join(str(error).split())}): {remedy}") from error


def _begin(draft: Path) -> None:
    """An empty folder, but for archives: what was half unpacked goes."""
    draft.mkdir(exist_ok=True)
    for path in draft.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock on a file, in the folder of the data so that other hosts see it; it ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
