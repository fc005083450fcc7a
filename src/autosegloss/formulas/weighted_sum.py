"""Several metrics at once: the weighted mean of their scores, itself a formula with a theta and a search of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from autosegloss.algebra.logic import Logic
from autosegloss.errors import InputError, is_number
from autosegloss.formulas.formula import Formula, Statistics, ratio


@dataclass(frozen=True)
class WeightedSum(Formula):
    """sum_k w_k score_k / sum_k w_k of the terms, called after them: "miou+biou".

    terms: two formulas or more, by name or as objects; weights: numbers above 0, None weighs all the same. Every
    term keeps curves of its own, its operations prefixed by its name. A term that has nothing to score in the
    data (boundaries where there are none) has no weight there. Raises InputError for other terms or weights.
    """

    name: ClassVar[str] = "sum"
    terms: Sequence[Formula | str | Mapping[str, Any]]
    weights: Sequence[float] | None = None
    operations: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        terms = tuple(_resolved(term) for term in self.terms)
        names = [term.name for term in terms]
        if len(names) < 2 or (twice := [name for name, count in Counter(names).items() if count > 1]):
            found = f"{', '.join(twice)} more than once" if len(names) > 1 else ", ".join(names) or "none"
            raise InputError(f"a sum of metrics takes two different ones or more, got {found}")
        weights = (1.0,) * len(terms) if self.weights is None else tuple(self.weights)
        if len(weights) != len(terms) or not all(is_number(weight) and weight > 0 for weight in weights):
            raise InputError(f"metric.weights: expected {len(terms)} numbers above 0, got {list(weights)}")
        operations = tuple(f"{term.name}_{name}" for term in terms for name in term.operations)
        made = {"name": "+".join(names), "terms": terms, "weights": weights, "operations": operations}
        for key, value in made.items():
            object.__setattr__(self, key, value)

    @property
    def classwise(self) -> bool:
        return all(term.classwise for term in self.terms)

    def options(self) -> dict[str, Any]:
        terms = [{"name": term.name, **term.options()} for term in self.terms]
        return {"terms": terms, "weights": list(self.weights)}

    def statistics(self, logic: Logic, pred: Tensor, true: Tensor, valid: Tensor) -> Statistics:
        sums: Statistics = {}
        for term in self.terms:
            own = term.statistics(_Prefixed(logic, term.name), pred, true, valid)
            sums |= {f"{term.name}_{name}": value for name, value in own.items()}
        return {**sums, "true": sum(own["true"] for _, own in self._parts(sums))}

    def class_scores(self, sums: Statistics) -> Tensor:
        """Weighted mean of the terms that define a class; their mean over classes is not the score."""
        scores = torch.stack([term.class_scores(own) for term, own in self._parts(sums)])
        weights = scores.new_tensor(self.weights)[:, None] * self._defined(sums)
        return ratio((weights * scores).sum(dim=0), weights.sum(dim=0))

    def defined(self, sums: Statistics) -> Tensor:
        """Classes that any term averages over."""
        return self._defined(sums).any(dim=0)

    def _defined(self, sums: Statistics) -> Tensor:
        return torch.stack([term.defined(own) for term, own in self._parts(sums)])

    def score(self, sums: Statistics, classes: str = "defined") -> Tensor:
        scores = torch.stack([term.score(own, classes) for term, own in self._parts(sums)])
        something = torch.stack([own["true"].sum() > 0 for _, own in self._parts(sums)])
        weights = scores.new_tensor(self.weights) * something
        return ratio((weights * scores).sum(), weights.sum())

    def _parts(self, sums: Statistics) -> Iterator[tuple[Formula, Statistics]]:
        """Each term with its own sums."""
        for term in self.terms:
            prefix = f"{term.name}_"
            own = {name.removeprefix(prefix): value for name, value in sums.items() if name.startswith(prefix)}
            yield term, own


class _Prefixed(Logic):
    """Another logic, asked for operations by a longer name."""

    def __init__(self, logic: Logic, prefix: str):
        self.logic, self.prefix = logic, prefix

    def and_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return self.logic.and_(f"{self.prefix}_{name}", a, b)

    def or_(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return self.logic.or_(f"{self.prefix}_{name}", a, b)

    def xor(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return self.logic.xor(f"{self.prefix}_{name}", a, b)


def _resolved(term: Formula | str | Mapping[str, Any]) -> Formula:
    """A term, which a theta card describes by name and options."""
    return Formula.named(**term) if isinstance(term, Mapping) else Formula.resolve(term)
