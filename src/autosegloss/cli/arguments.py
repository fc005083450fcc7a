"""Arguments of programs that are not Hydra's: paths, and KEY=VALUE with values in YAML."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from autosegloss.errors import InputError, is_number, is_whole, unknown

_SETTING = re.compile(r"[+~]*[A-Za-z_][\w.@/-]*=")


class Arguments(NamedTuple):
    """What was typed: paths, the program's own settings, and overrides of the configuration of a training."""

    paths: list[str]
    settings: dict[str, Any]
    overrides: list[str]


def read_arguments(
    arguments: Sequence[str], known: Mapping[str, Any], groups: Collection[str] = (), flags: Collection[str] = ()
) -> Arguments:
    """Read the arguments of a program.

    Args:
        arguments: as they were typed.
        known: the program's own settings and their values by default; a value that is a bool, a number or a text
            decides what may take its place.
        groups: first words of keys that are overrides of the configuration, as "data" of data.root=ROOT.
        flags: options of the form --NAME VALUE, settings as well.

    Raises:
        InputError: for a key that is not known, or a value of another kind.
    """
    paths, settings, overrides, left = [], dict(known), [], list(arguments)
    while left:
        typed = left.pop(0)
        key, equals, value = typed.partition("=")
        if typed.startswith("--"):
            if key[2:] not in flags:
                raise unknown("option", key, [f"--{flag}" for flag in (*flags, "help")])
            if not equals and not left:
                raise InputError(f"{key} needs a value: {key} DIR")
            settings[key[2:]] = value if equals else left.pop(0)
        elif not _SETTING.match(typed) or Path(typed).exists():
            paths.append(typed)
        elif key in known and key not in flags:
            settings[key] = _value(key, value, known[key])
        elif re.split(r"[.@/]", key.lstrip("+~"))[0] in groups:
            overrides.append(typed)
        else:
            raise unknown("setting", key, [*(key for key in known if key not in flags), *groups])
    return Arguments(paths, settings, overrides)


def _value(key: str, text: str, default: Any) -> Any:
    """The value that `text` stands for; raises InputError if it is of another kind than the default."""
    if default is None or isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(default, bool):
        right, kind = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        right, kind = is_whole(value, 0), "a whole number"
    elif isinstance(default, float):
        right, kind = is_number(value), "a number"
    else:
        return value
    if not right:
        raise InputError(f"{key}: expected {kind}, got {text}")
    return value


def one_path(program: str, paths: Sequence[str], what: str) -> str:
    """The only path; raises InputError if there is none, or more."""
    if len(paths) != 1:
        given = f"got {len(paths)}: {', '.join(paths)}" if paths else "got none"
        raise InputError(f"autosegloss {program}: expected {what}, {given}; autosegloss {program} --help has examples")
    return paths[0]


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" is a GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={name} cannot be used ({str(error).splitlines()[0]}): set device=cpu") from error
    return device


def typed_arguments() -> list[str]:
    """Those that follow the name of the program on the command line."""
    return sys.argv[1:]
