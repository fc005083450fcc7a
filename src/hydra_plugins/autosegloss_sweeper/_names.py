"""How things are written: values as overrides, paths for the user."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

UNTIMED = "hydra.sweeper.trial_timeout=null"  # of the runs that are no trials, and longer


def theta_override(theta: Iterable[float]) -> str:
    """A theta as an override, exactly."""
    return "theta=[" + ",".join(repr(float(x)) for x in theta) + "]"


def quoted(value: object) -> str:
    """A text as the value of an override."""
    return "'" + str(value).replace("'", "\\'") + "'"


def argument(key: str, value: object) -> str:
    """`key=value` as an argument of a program, for Hydra; a shell may want quotes around it."""
    plain = re.fullmatch(r"[\w./-]+", str(value))
    return f"{key}={value if plain else quoted(value)}"


def resume_command(directory: Path) -> str:
    """How to go on with a search, as it is typed."""
    return shlex.join(["python", "search.py", argument("resume", short(directory))])


def short(path: Path) -> Path:
    """A path as a user would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
