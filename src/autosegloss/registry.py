"""Families whose members are found by name: one file holds one member, and no list has to name it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any, ClassVar

from autosegloss.errors import InputError, unknown


class Registered:
    """Base of a family of frozen dataclasses; a subclass that sets `name` can be made by that name."""

    kind: ClassVar[str]  # what a member is called in messages
    name: ClassVar[str]
    members: ClassVar[dict[str, type]]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            cls.members = {}
        elif isinstance(cls.__dict__.get("name"), str):
            taken = cls.members.get(cls.name, cls)
            if _full_name(taken) != _full_name(cls):  # the same is a module loaded again
                raise ValueError(f"{cls.kind} '{cls.name}' is {_full_name(taken)}: choose another name")
            cls.members[cls.name] = cls

    @classmethod
    def named(cls, name: str, **options: Any):
        """The member called `name` with its options; raises InputError for an unknown name or option."""
        if name not in cls.members:
            raise unknown(cls.kind, name, cls.members)
        member = cls.members[name]
        known = [field.name for field in dataclasses.fields(member) if field.init]
        for option in options.keys() - set(known):
            raise InputError(f"{cls.kind} '{name}' has no option '{option}'; its options: {known or 'none'}")
        return member(**options)

    @classmethod
    def resolve(cls, member):
        """A member given as itself or by name; raises InputError for anything else."""
        if isinstance(member, cls):
            return member
        if isinstance(member, str):
            return cls.named(member)
        known = f"expected a {cls.kind} by name ({', '.join(cls.members)}) or an object of {_full_name(cls)}"
        if isinstance(member, type):
            raise InputError(f"{known}, got the class {_full_name(member)}, not an object of it")
        raise InputError(f"{known}, got an object of {_full_name(type(member))}")

    def options(self) -> dict[str, Any]:
        """The member's options, as they stand on a theta card."""
        return dataclasses.asdict(self)


def _full_name(member: type) -> str:
    return f"{member.__module__}.{member.__qualname__}".removeprefix("builtins.")


def import_members(package: str, path: list[str]) -> None:
    """Import every module of a package, so that each file's member registers itself."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
