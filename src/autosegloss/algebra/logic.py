"""The operations a formula is written in, and their exact reading on crisp maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from autosegloss.algebra.maps import Map
from autosegloss.errors import InputError


class Logic(ABC):
    """AND, OR and XOR of maps; each call names its operation, so that each operation can have a curve of its own.

    Args:
        operations: the names that a formula declares; a call with another name raises InputError. XOR is made of the
            two operations `{name}_and` and `{name}_or`.
    """

    def __init__(self, operations: Sequence[str]):
        self.operations = tuple(operations)

    @abstractmethod
    def and_(self, name: str, a: Map, b: Map) -> Map:
        """a AND b."""

    @abstractmethod
    def or_(self, name: str, a: Map, b: Map) -> Map:
        """a OR b."""

    @abstractmethod
    def xor(self, name: str, a: Map, b: Map) -> Map:
        """a XOR b = (a OR b) and not (a AND b)."""


class ExactLogic(Logic):
    """The truth tables, on crisp maps: the evaluation metric."""

    def and_(self, name: str, a: Map, b: Map) -> Map:
        self.check(name)
        return a & b

    def or_(self, name: str, a: Map, b: Map) -> Map:
        self.check(name)
        return a | b

    def xor(self, name: str, a: Map, b: Map) -> Map:
        self.check(f"{name}_or", f"{name}_and")
        return a ^ b

    def check(self, *names: str) -> None:
        """Raise InputError for an operation that is not declared."""
        for name in names:
            if name not in self.operations:
                raise undeclared(name, self.operations)


class Prefixed(Logic):
    """Another logic whose operations have longer names: those of a part of a formula."""

    def __init__(self, logic: Logic, prefix: str):
        super().__init__([name.removeprefix(prefix) for name in logic.operations if name.startswith(prefix)])
        self.logic, self.prefix = logic, prefix

    def and_(self, name: str, a: Map, b: Map) -> Map:
        return self.logic.and_(self.prefix + name, a, b)

    def or_(self, name: str, a: Map, b: Map) -> Map:
        return self.logic.or_(self.prefix + name, a, b)

    def xor(self, name: str, a: Map, b: Map) -> Map:
        return self.logic.xor(self.prefix + name, a, b)


def undeclared(name: str, operations: Sequence[str]) -> InputError:
    """The error for an operation that a formula uses without declaring it."""
    declared = ", ".join(operations) or "(none)"
    return InputError(f"operation '{name}' is not declared: the `operations` of the formula are {declared}")
