"""The contract of a metric written once: sums over pixels under some logic, then a score of the sums."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from autosegloss.algebra import Logic, Map, Sum, Term
from autosegloss.algebra.inputs import accumulation_dtype
from autosegloss.errors import InputError
from autosegloss.registry import Registered

Statistics = dict[str, Sum]
"""What a formula sums over pixels and images, by name."""

Sums = Mapping[str, Tensor]
"""The values (C,) of statistics: int64 when read exactly, floating point when read softly.

A score gets those of the classes that count: a class whose id is the ignored label has no entry.
"""


class Formula(Registered, ABC):
    """A segmentation metric as ONE formula; exact logic makes it the metric, soft logic the surrogate.

    Concrete formulas are frozen dataclasses with a `name`, the `operations` that take a curve (theta is laid out in
    this order), `statistics` and `class_scores`. Statistics hold "true", the class frequencies that decide presence.
    `classwise` says that the sums of a class depend on the maps of that class alone; then a formula that needs dense
    maps is evaluated a few classes at a time.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import ClassVar
        >>> from autosegloss import SurrogateLoss
        >>> from autosegloss.formulas import Formula, ratio
        >>> @dataclass(frozen=True)
        ... class Overlap(Formula):
        ...     name: ClassVar[str] = "overlap"
        ...     operations: ClassVar[tuple[str, ...]] = ("and",)
        ...
        ...     def statistics(self, logic, pred, true, valid):
        ...         both = logic.and_("and", pred, true).total(valid)
        ...         return {"both": both, "pred": pred.total(valid), "true": true.total(valid)}
        ...
        ...     def class_scores(self, sums):  # a bent AND may exceed the prediction
        ...         return ratio(sums["both"], sums["pred"].maximum(sums["both"]).minimum(sums["true"]))
        >>> SurrogateLoss("overlap").formula
        Overlap()
        >>> del Formula.members["overlap"]
    """

    kind: ClassVar[str] = "metric"

    @property
    @abstractmethod
    def operations(self) -> tuple[str, ...]:
        """The names of the operations, in the order of theta."""

    @property
    def classwise(self) -> bool:
        """Whether the sums of a class depend on the maps of that class alone."""
        return False

    @abstractmethod
    def statistics(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        """The sums of a prediction and the truth.

        Args:
            logic: AND, OR and XOR; each call names an operation of `operations`.
            pred: map (N, C, *S) of the prediction, empty at ignored pixels.
            true: crisp map (N, C, *S) of the labels, empty at ignored pixels.
            valid: (N, 1, *S), bool; sums are taken within it: `pred.total(valid)`.
        """

    @abstractmethod
    def class_scores(self, sums: Sums) -> Tensor:
        """Score of each class (C,) in [0, 1]; 0 for a class that is not defined."""

    def plan(self, logic: Logic, pred: Map, true: Map, valid: Tensor) -> Statistics:
        """`statistics`, checked; raises InputError for a formula that does not keep to the contract."""
        try:
            plan = self.statistics(logic, pred, true, valid)
        except InputError as error:
            raise InputError(f"metric '{self.name}': {error}") from error
        except (TypeError, AttributeError, NotImplementedError) as error:  # of an operation that maps do not have
            raise InputError(f"metric '{self.name}': {error}; {_MAPS}") from error
        if not isinstance(plan, dict):
            raise InputError(f"metric '{self.name}': statistics must return a dict of sums, got {plan!r}; {_MAPS}")
        for name, value in plan.items():
            if not isinstance(value, Sum):
                kind = type(value).__name__
                raise InputError(f"metric '{self.name}': statistic '{name}' must be a sum, got {kind}; {_MAPS}")
        if "true" not in plan:
            raise InputError(f"metric '{self.name}': statistics must hold 'true', the pixels of each class")
        return plan

    @classmethod
    def summed_by(cls) -> type[Formula]:
        """The class whose sums this one has: its parent if the class changes nothing but the score."""
        own = {name for name in vars(cls) if not name.startswith("__")}
        score_only = own <= {"name", "class_scores", "class_weights", "defined", "score", "pooled", "_abc_impl"}
        parents = [parent for parent in cls.__bases__ if issubclass(parent, Formula)]
        return parents[0].summed_by() if score_only and parents and cls is not Formula else cls

    def summed_as(self) -> str:
        """A text that two formulas share only if they have the same sums: their class and its options."""
        kind = self.summed_by()
        return f"{kind.__module__}.{kind.__qualname__} {self.options()} {getattr(self, '__dict__', {})}"

    def defined(self, sums: Sums) -> Tensor:
        """Classes (C,) the evaluation metric averages over: those present in the ground truth."""
        return sums["true"] > 0

    def class_weights(self, sums: Sums, classes: str) -> Tensor:
        """Weights (C,) of the class average: "all" classes (1/C), those "present" in the truth, those "defined"."""
        return CLASS_RULES[classes](self, sums).to(sums["true"].dtype)

    def score(
        self, sums: Sums, classes: str = "defined", given: Tensor | None = None, there: str | None = None
    ) -> Tensor:
        """Weighted average of the class scores, a scalar; 0 where no class has weight.

        Args:
            sums: (C,) by name.
            classes: the rule of the classes that count.
            given: factors (C,) of their weights.
            there: the rule of the classes that are there: all others score 1.
        """
        return self.pooled([sums], classes, None if given is None else [given], there)

    def pooled(
        self,
        images: Sequence[Sums],
        classes: str = "defined",
        given: Sequence[Tensor] | None = None,
        there: str | None = None,
    ) -> Tensor:
        """Weighted average over the classes of all images that have sums of their own, likewise; `given` of each."""
        total, weight = [], []
        for n, sums in enumerate(images):
            scores, weights = self.class_scores(sums), self.class_weights(sums, classes)
            if there is not None:
                scores = scores.where(CLASS_RULES[there](self, sums), 1)
            weights = weights if given is None else weights * given[n]
            total.append((weights * scores).sum())
            weight.append(weights.sum())
        return ratio(reduce(operator.add, total), reduce(operator.add, weight))


CLASS_RULES = {
    "all": lambda formula, sums: torch.ones_like(sums["true"]),
    "present": lambda formula, sums: sums["true"] > 0,
    "defined": lambda formula, sums: formula.defined(sums),
}
"""The classes that count in the average, by the name that stands on a theta card."""

LOSS_RULES = ("all", "present")
"""The rules of a loss: softly read, every class has a union, so that "defined" would be "all" again."""

_MAPS = (
    "maps have within, erode, dilate, any_class, larger, total and the operations of the logic; for any other "
    "operation of torch use the tensor m.dense() and make a map of the result by DenseMap(tensor). Sums are added, "
    "subtracted and multiplied by numbers; all else, such as division, belongs in class_scores"
)


def check_operations(formula: Formula) -> Formula:
    """Return the formula; raises InputError unless its operations are a tuple or list of names that theta can have."""
    names = formula.operations
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"metric '{formula.name}': operations must be a tuple of names, as ('and',), got {names!r}")
    for name in names:
        if not name or "." in name or names.count(name) > 1:
            raise InputError(f"metric '{formula.name}': operation '{name}' needs a name of its own, without a dot")
    return formula


def values(statistics: Statistics, computed: Mapping[Term, Tensor] = MappingProxyType({})) -> dict[str, Tensor]:
    """The values (C,) of statistics, given those of their terms; counts stay int64 unless scaled by a fraction."""
    return {name: reduce(operator.add, _scaled(total, computed)) for name, total in statistics.items()}


def _scaled(total: Sum, computed: Mapping[Term, Tensor]) -> Iterator[Tensor]:
    for factor, term in total.terms:
        value = computed[term] if isinstance(term, Term) else term
        if not (value.is_floating_point() or isinstance(factor, int)):
            value = value.to(accumulation_dtype(value.device))
        yield value if factor == 1 else -value if factor == -1 else factor * value


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator with 0 / 0 = 0; a vanishing soft sum has a finite slope, and counts divide in float64."""
    if not denominator.is_floating_point():
        denominator = denominator.to(accumulation_dtype(denominator.device))
    return numerator / denominator.clamp_min(1e-6)
