"""The one error a user's mistake ends in: a single clear line (expected, got, remedy); and one for bad numerics."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

NEAREST = 12  # names that a message shows at most


class InputError(ValueError):
    """Input that cannot be worked with; the command-line programs print it as one line, without a traceback."""


class DivergedError(RuntimeError):
    """A training whose loss or weights are no finite numbers any more: what the network predicts means nothing."""


class RunError(RuntimeError):
    """A run that cannot begin, because the search that launched it has ended."""


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list: says what there is, the nearest first."""
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=NEAREST, cutoff=0.0)
    more = f", ... ({len(known)} in all)" if len(known) > NEAREST else ""
    return InputError(f"unknown {kind} '{name}': choose one of {', '.join(nearest) or '(none is known)'}{more}")


def is_number(value: object) -> bool:
    """Whether a value is a finite number; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object, least: int) -> bool:
    """Whether a value is an integer of `least` or more; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def whole_number(name: str, value: int, least: int) -> int:
    """The value; raises InputError unless it is an integer of `least` or more."""
    if not is_whole(value, least):
        raise InputError(f"{name}: expected an integer of {least} or more, got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """The value; raises InputError unless it is a finite number above 0."""
    if not (is_number(value) and value > 0):
        raise InputError(f"{name}: expected a number above 0, got {value!r}")
    return value
