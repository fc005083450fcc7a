"""Families of classes that are found by name: each file of a family holds one member, and no list names them."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, ClassVar

from autosegloss.errors import InputError, unknown

if TYPE_CHECKING:
    from typing_extensions import Self


class Registered:
    """Base of a family of frozen dataclasses; a subclass that sets `name` can be made by that name."""

    kind: ClassVar[str]  # the word for a member in messages
    name: ClassVar[str]
    members: ClassVar[dict[str, type[Any]]]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            cls.members = {}
        elif "name" in cls.__dict__:
            taken = cls.members.get(cls.name, cls)
            if _full_name(taken) != _full_name(cls):  # equal names: the same module, loaded again
                raise ValueError(f"{cls.kind} '{cls.name}' is {_full_name(taken)}: choose another name")
            cls.members[cls.name] = cls

    @classmethod
    def named(cls, name: str, **options: Any) -> Self:
        """Make the member called `name` with its options; raises InputError for an unknown name or option."""
        if name not in cls.members:
            raise unknown(cls.kind, name, cls.members)
        member = cls.members[name]
        known = [field.name for field in dataclasses.fields(member) if field.init]
        for option in options.keys() - set(known):
            raise InputError(f"{cls.kind} '{name}' has no option '{option}'; its options: {known or 'none'}")
        return member(**options)

    @classmethod
    def resolve(cls, member: str | Self) -> Self:
        """Return a member that is given as an object or by name; raises InputError for anything else."""
        if isinstance(member, cls):
            return member
        if isinstance(member, str):
            return cls.named(member)
        known = f"expected a {cls.kind} by name ({', '.join(cls.members)}) or an object of {_full_name(cls)}"
        if isinstance(member, type):
            raise InputError(f"{known}, got the class {_full_name(member)}, not an object of it")
        raise InputError(f"{known}, got an object of {_full_name(type(member))}")

    def options(self) -> dict[str, Any]:
        """The member's options by name, as a theta card stores them."""
        return dataclasses.asdict(self)


def _full_name(member: type) -> str:
    return f"{member.__module__}.{member.__qualname__}".removeprefix("builtins.")


def import_members(package: str, path: list[str]) -> None:
    """Import every module of a package, so that the member in each file registers itself."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
