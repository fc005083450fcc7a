"""Several metrics at once: the weighted mean of their scores, itself a formula with a theta and a search of its own."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra import Logic, Map
from autosegloss.algebra.constants import constants
from autosegloss.algebra.logic import Prefixed
from autosegloss.errors import InputError, is_number
from autosegloss.formulas.formula import Formula, Statistics, Sums, check_operations, ratio


@dataclass(frozen=True)
class WeightedSum(Formula):
    """sum_k w_k score_k / sum_k w_k of the terms; `weighted_sum` makes and checks it.

    Each term keeps curves of its own: its operations are prefixed by its name. A term without anything to score in the
    data (boundaries where there are no boundaries) has no weight there.
    """

    terms: tuple[Formula, ...]
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        """The names of the terms, joined: "miou+biou"."""
        return "+".join(term.name for term in self.terms)

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(f"{term.name}_{name}" for term in self.terms for name in term.operations)

    @property
    def classwise(self) -> bool:
        return all(term.classwise for term in self.terms)

    def options(self) -> dict[str, Any]:
        return {"terms": [term.entry() for term in self.terms], "weights": list(self.weights)}

    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        parts = {term.name: term.plan(Prefixed(logic, f"{term.name}_"), pred, true, valid) for term in self.terms}
        sums = {f"{term}_{name}": value for term, part in parts.items() for name, value in part.items()}
        return {**sums, "true": reduce(operator.add, (part["true"] for part in parts.values()))}

    def class_scores(self, sums: Sums) -> Tensor:
        """Weighted mean of the terms that define a class; their mean over classes is not the score."""
        scores = torch.stack([term.class_scores(own) for term, own in self._parts(sums)])
        weights = constants(self.weights, scores)[:, None] * self._defined(sums)
        return ratio((weights * scores).sum(dim=0), weights.sum(dim=0))

    def defined(self, sums: Sums) -> Tensor:
        """Classes that any term averages over."""
        return self._defined(sums).any(dim=0)

    def _defined(self, sums: Sums) -> Tensor:
        return torch.stack([term.defined(own) for term, own in self._parts(sums)])

    def pooled(
        self,
        images: Sequence[Sums],
        classes: str = "defined",
        given: Sequence[Tensor] | None = None,
        there: str | None = None,
    ) -> Tensor:
        owns = [[own for _, own in self._parts(sums)] for sums in images]
        of_terms = list(zip(self.terms, zip(*owns, strict=True), strict=True))
        scores = torch.stack([term.pooled(own, classes, given, there) for term, own in of_terms])
        weights = constants(self.weights, scores)
        if there is None:  # otherwise classes that are not there score 1
            some = [reduce(operator.add, (sums["true"].sum() for sums in own)) > 0 for _, own in of_terms]
            weights = weights * torch.stack(some)
        return ratio((weights * scores).sum(), weights.sum())

    def _parts(self, sums: Sums) -> Iterator[tuple[Formula, Sums]]:
        """Each term with its own sums."""
        for term in self.terms:
            prefix = f"{term.name}_"
            own = {name.removeprefix(prefix): value for name, value in sums.items() if name.startswith(prefix)}
            yield term, own


def weighted_sum(
    terms: Sequence[Formula | str | Mapping[str, Any]], weights: Sequence[float] | None = None
) -> WeightedSum:
    """The weighted mean of several metrics.

    Args:
        terms: two different formulas or more: as objects, by name, or by name and options as on a theta card.
        weights: a number above 0 for each term; None weighs all the same.

    Raises:
        InputError: for other terms or weights.

    Example:
        >>> from autosegloss.formulas import BoundaryIoU, weighted_sum
        >>> weighted_sum(["miou", BoundaryIoU(width=3)], weights=[2, 1]).name
        'miou+biou'
    """
    resolved = (Formula.from_entry(term) if isinstance(term, Mapping) else Formula.resolve(term) for term in terms)
    made = tuple(map(check_operations, resolved))
    names = [term.name for term in made]
    if len(names) < 2 or (twice := [name for name, count in Counter(names).items() if count > 1]):
        found = f"{', '.join(twice)} more than once" if len(names) > 1 else ", ".join(names) or "none"
        raise InputError(f"a sum of metrics takes two different ones or more, got {found}")
    numbers = (1.0,) * len(made) if weights is None else tuple(weights)
    if len(numbers) != len(made) or not all(is_number(weight) and weight > 0 for weight in numbers):
        raise InputError(f"metric.weights: expected {len(made)} numbers above 0, got {list(numbers)}")
    return WeightedSum(made, numbers)


def named(name: str, **options: Any) -> Formula:
    """The metric called `name` with its options; "miou+biou" is the weighted sum of the two.

    Raises InputError for an unknown name or option.
    """
    if "+" not in name:
        return Formula.named(name, **options)
    if unknown := options.keys() - {"terms", "weights"}:
        raise InputError(f"metric '{name}' has no option '{min(unknown)}'; its options: ['terms', 'weights']")
    return weighted_sum(**{"terms": name.split("+"), **options})


def from_entry(entry: str | Mapping[str, Any]) -> Formula:
    """The metric of an entry of a theta card; raises InputError for an unknown name, option or class."""
    if isinstance(entry, Mapping) and "+" in entry["name"]:
        return named(**entry)
    return named(entry) if isinstance(entry, str) else Formula.from_entry(entry)


def resolve(metric: str | Formula) -> Formula:
    """A metric by name or as a formula; raises InputError for anything else, and for operations without names."""
    return check_operations(named(metric) if isinstance(metric, str) else Formula.resolve(metric))
