"""Files that exist whole or not at all, even if a process is killed while it writes; where the configuration lies."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


def config_folder() -> Path:
    """The folder of the configuration: autosegloss/conf of an installed wheel, or conf/ of the checkout."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a draft, which replaces `path` at the end of the context; an error leaves `path` as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # unique: two threads or hosts may write the same file
    try:
        yield draft
        with draft.open("r+b") as file:  # Windows writes no file to the disk that is open for reading alone
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        error.filename = str(path)  # a full disk does not say which file it has no room for
        raise
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Write the names of the files in `folder` to the disk, where the system can open a folder (Windows cannot)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Replace the content of `path` as a whole."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def last_lines(path: Path, count: int = 15) -> str:
    """The last lines of a log, of its last 20 kB at most; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def short_path(path: Path) -> Path:
    """The path relative to the current folder if it lies below that, else the absolute path."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def disk_error(error: BaseException) -> str | None:
    """One line about a disk that is full, read-only or broken; None if `error` is another one."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS:
        return None
    what = short_path(Path(os.fsdecode(error.filename))) if isinstance(error.filename, (str, bytes)) else "the output"
    return f"{what} cannot be written ({error.strerror}): make room on that disk, or write to another"
