"""The one error a user's mistake ends in: a single clear line (expected, got, remedy)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be worked with; the command-line programs print it as one line, without a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list: says what there is, the nearest first."""
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=len(known) or 1, cutoff=0.0)
    return InputError(f"unknown {kind} '{name}': choose one of {', '.join(nearest) or '(none is known)'}")
