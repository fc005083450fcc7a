"""Families of classes that are found by name: each file of a family holds one member, and no list names them."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from autosegloss.errors import InputError, unknown

if TYPE_CHECKING:
    from typing_extensions import Self


class Registered:
    """Base of a family of frozen dataclasses; a subclass that sets `name` can be made by that name."""

    kind: ClassVar[str]  # the word for a member in messages
    members: ClassVar[dict[str, type[Any]]]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            cls.members = {}
        elif isinstance(cls.__dict__.get("name"), str):
            name = cls.__dict__["name"]
            taken = cls.members.get(name, cls)
            if _full_name(taken) != _full_name(cls):  # equal names: the same module, loaded again
                raise ValueError(f"{cls.kind} '{name}' is {_full_name(taken)}: choose another name")
            cls.members[name] = cls

    @property
    def name(self) -> str:
        """The name of the member; members define it as a class variable."""
        raise TypeError(f"{type(self).__name__} must define `name`")

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

    @classmethod
    def from_entry(cls, entry: str | Mapping[str, Any]) -> Self:
        """Make the member of an `entry`, or by name alone; raises InputError for an unknown name, option or class."""
        options = {"name": entry} if isinstance(entry, str) else dict(entry)
        if path := options.pop("class", None):
            cls._import(path, options["name"])
        return cls.named(**options)

    def entry(self) -> dict[str, Any]:
        """The member in plain types: its name, its options, and the import path of a class from another package."""
        foreign = type(self).__module__.partition(".")[0] != __package__
        return {"name": self.name, **({"class": _full_name(type(self))} if foreign else {}), **self.options()}

    def __repr__(self) -> str:
        """The member as it is made, without options that are off; a dataclass that does not take this has its own."""
        given = ((name, value) for name, value in self.options().items() if value is not None and value is not False)
        options = (f"{name}={value!r}" for name, value in given)
        return f"{type(self).__qualname__}({', '.join(options)})"

    def options(self) -> dict[str, Any]:
        """The member's options by name, as a theta card stores them."""
        return dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}

    @classmethod
    def _import(cls, path: str, name: str) -> None:
        """Import the module of a class, so that the class registers itself."""
        if name in cls.members and _full_name(cls.members[name]) == path:
            return
        module = path.rpartition(".")[0]
        try:
            importlib.import_module(module)
        except (ImportError, ValueError) as error:
            raise InputError(
                f"{cls.kind} '{name}' is the class {path}, whose module '{module}' cannot be imported ({error}): "
                "define it in a module on the Python path"
            ) from error
        if name not in cls.members or _full_name(cls.members[name]) != path:
            raise InputError(
                f"{cls.kind} '{name}' is the class {path}, which its module '{module}' does not define: "
                "define it in a module on the Python path"
            )


def _full_name(member: type) -> str:
    return f"{member.__module__}.{member.__qualname__}".removeprefix("builtins.")


def import_members(package: str, path: list[str]) -> None:
    """Import every module of a package, so that the member in each file registers itself."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
