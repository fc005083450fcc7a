"""The streams of a program: some are closed, some lose their reader; light to import."""

from __future__ import annotations

import logging
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from autosegloss.errors import CLOSED_PIPE, console_is_gone
from autosegloss.files import disk_error


@contextmanager
def guarded_output() -> Iterator[None]:
    """Within it, output that cannot be written ends the program.

    A reader of stdout that goes away (`| head`) ends it as SIGPIPE does, without a message; a full disk with one line.
    Streams that are closed become the null device.
    """
    open_closed_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _stdout_is_closed():
            raise
        _drop_unwritable_output()
        sys.exit(CLOSED_PIPE)
    except OSError as error:
        if not (full := disk_error(error)):
            raise
        _drop_unwritable_output()
        sys.exit(f"error: {full}")
    except SystemExit as error:
        if console_is_gone(error):
            sys.exit(CLOSED_PIPE)
        raise


@contextmanager
def silent_logging() -> Iterator[None]:
    """Within it, a line that logging cannot write is lost, without a traceback on stderr."""
    before = logging.raiseExceptions
    logging.raiseExceptions = False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def _drop_unwritable_output() -> None:
    """Lose what stdout holds if it cannot be written: the interpreter flushes once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Let a program that was started without streams (`>&-`) read from and write to the null device."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest free number, this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for as long as the program runs
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _stdout_is_closed() -> bool:
    """Whether the reader of stdout has gone; Windows does not tell."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
