"""Downloads of data sets: once, by one process at a time, complete or not at all."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock

from autosegloss.errors import InputError

# What torchvision raises for a failing host, a full disk or a broken archive; RuntimeError is a wrong checksum.
_FAILURES = (OSError, HTTPException, RuntimeError, tarfile.TarError, EOFError, zlib.error)


def fetch(target: Path, complete: Callable[[], bool], download: Callable[[Path], Path], remedy: str) -> None:
    """Create the folder `target` by a download, unless the data are complete already.

    Of several processes that call it, on one host or several, one downloads and the others wait for it.

    Args:
        target: the folder.
        complete: tells whether the data are there.
        download: downloads into a temporary folder beside `target`, and returns the folder in it that becomes
            `target`. Archives that a failed download left in the temporary folder are still there.
        remedy: what the user can do instead, for messages.

    Raises:
        InputError: if the download fails, or if `target` exists but is incomplete.
    """
    if complete():
        return
    draft = target.with_name(f".{target.name}.download")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):  # beside the data, so that other hosts see it
            if complete():
                return
            if target.exists():
                raise InputError(f"{target} is there, but not as it should be: move it away or complete it; {remedy}")
            _prepare(draft)
            os.rename(download(draft), target)
            shutil.rmtree(draft)
    except InputError:
        raise
    except _FAILURES as error:
        raise InputError(f"{target} cannot be downloaded ({' '.join(str(error).split())}): {remedy}") from error


def _prepare(draft: Path) -> None:
    """Create the temporary folder, or remove its subfolders, which may be half unpacked; archives stay."""
    draft.mkdir(exist_ok=True)
    for path in draft.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
