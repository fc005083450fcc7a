"""Errors that tell a user's mistake in one line (expected, got, remedy), and the checks that raise them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

MAX_CHOICES = 12  # names that a message lists at most
CLOSED_PIPE = 141  # exit code of a process that SIGPIPE has killed; Windows has no such signal


class InputError(ValueError):
    """Input that the library refuses: one line with the expected, the given and the remedy.

    The console programs print it without a traceback.

    Example:
        >>> from autosegloss import InputError, SurrogateLoss
        >>> try:
        ...     SurrogateLoss("mio")
        ... except InputError as error:
        ...     print(error)
        unknown metric 'mio': choose one of miou, ...
    """


class DivergedError(RuntimeError):
    """A training whose loss or weights are not finite: the predictions of its network mean nothing."""


class RunError(RuntimeError):
    """A run that cannot begin, because the search that launched it has ended."""


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not among the known ones; it lists those, the nearest first."""
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=MAX_CHOICES, cutoff=0.0)
    more = f", ... ({len(known)} in all)" if len(known) > MAX_CHOICES else ""
    return InputError(f"unknown {kind} '{name}': choose one of {', '.join(nearest) or '(none is known)'}{more}")


def not_installed(what: str, packages: str, extra: str) -> InputError:
    """The error for a part of the library whose packages an extra installs."""
    return InputError(f'{what} needs {packages}, not installed here: python -m pip install "autosegloss[{extra}]"')


def is_number(value: object) -> bool:
    """Whether a value is a finite number; True and False do not count as numbers."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object, least: int) -> bool:
    """Whether a value is an integer of `least` or more; True and False do not count as integers."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def whole_number(name: str, value: Any, least: int) -> int:
    """Return the value; raises InputError unless it is an integer of `least` or more."""
    if not is_whole(value, least):
        raise InputError(f"{name}: expected an integer of {least} or more, got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """Return the value; raises InputError unless it is a finite number above 0."""
    if not (is_number(value) and value > 0):
        raise InputError(f"{name}: expected a number above 0, got {value!r}")
    return value


def console_is_gone(error: BaseException) -> bool:
    """Whether `error` is the answer of the progress bar to a reader of the console that has gone: rich exits."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
