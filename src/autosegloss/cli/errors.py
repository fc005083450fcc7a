"""The end of a program: an error of the user in one line, Ctrl-C and a closed pipe without a traceback."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from autosegloss.errors import unknown
from autosegloss.training.failures import describe_mistake, key_first


def run_program(main: Callable[[], object]) -> None:
    """Run the main function of a program; a mistake of the user ends it with one line, a bug with its traceback.

    With HYDRA_FULL_ERROR=1 in the environment every error shows its traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        main()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves the errors to us
    _open_closed_streams()
    try:
        with silent_broken_pipe():
            main()
    except KeyboardInterrupt as error:
        sys.exit(f"interrupted {error}".rstrip())
    except Exception as error:
        if message := describe_error(error):
            sys.exit(f"error: {message}")
        raise


@contextmanager
def silent_broken_pipe() -> Iterator[None]:
    """Within it, a reader of stdout that goes away (`| head`) ends the program as SIGPIPE does, without a message."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _stdout_is_closed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        sys.exit(128 + signal.SIGPIPE)


def describe_error(error: Exception) -> str | None:
    """One line about a mistake of the user, in the command line, the config or the input; None for another error."""
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return str(unknown(group, name, error.options)) if error.options else str(error)
    if mistake := describe_mistake(error):
        return mistake
    return _hydra_message(error) if isinstance(error, HydraException) else None


def _hydra_message(error: HydraException) -> str:
    """The texts of an error of Hydra and of its cause, in one line."""
    text, cause = str(error), error.__cause__
    if cause is not None and str(cause) not in text:
        text = f"{text}: {cause}"
    return key_first(text, cause.full_key if isinstance(cause, OmegaConfBaseException) else None)


def _open_closed_streams() -> None:
    """Let a program that was started without streams (`>&-`) read from and write to the null device."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest free number, this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for as long as the program runs
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _stdout_is_closed() -> bool:
    """Whether the reader of stdout has gone."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
