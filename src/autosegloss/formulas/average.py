"""How the scores of classes and images become one: the options that losses and metrics share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autosegloss.algebra.constants import constants, indices
from autosegloss.errors import InputError, is_number, is_whole, unknown
from autosegloss.formulas.formula import CLASS_RULES, Formula, Sums, ratio

ABSENT = ("skip", "zero", "one")


@dataclass(frozen=True)
class Average:
    """The average over classes, and over images.

    Args:
        rule: the classes that count: "all", those "present" in the truth, those "defined".
        ids: the classes that are averaged; None takes all.
        weights: of these classes, in their order; None weighs them by the formula alone.
        there: the rule of the classes that are there: others score 1; None leaves them their score, which is 0.
        aggregate: "batch" scores the sums of all images; "image" averages the scores of single images, "image,class"
            those of all pairs of an image and a class, "worst image" takes the lowest.
    """

    rule: str
    ids: tuple[int, ...] | None = None
    weights: tuple[float, ...] | None = None
    there: str | None = None
    aggregate: str = "batch"

    def score(self, formula: Formula, images: Sequence[Sums]) -> Tensor:
        """The score, a scalar, of the sums (C,) of images, or of the one sum of a batch."""
        return AGGREGATES[self.aggregate](self, formula, [self.selected(sums) for sums in images])

    def single(self, formula: Formula, sums: Sums) -> Tensor:
        """The score of selected sums."""
        return formula.score(sums, self.rule, self._given(sums), self.there)

    def pooled(self, formula: Formula, images: Sequence[Sums]) -> Tensor:
        """The score over all pairs of an image and a class, of selected sums."""
        return formula.pooled(images, self.rule, self._given(images[0]), self.there)

    def selected(self, sums: Sums) -> Sums:
        """The sums of the classes that are averaged; raises InputError for one that does not exist."""
        if self.ids is None:
            return sums
        count = len(sums["true"])
        if max(self.ids) >= count:
            raise InputError(f"classes: expected ids below {count}, got {max(self.ids)}")
        index = indices(self.ids, sums["true"].device)
        return {name: value[index] for name, value in sums.items()}

    def _given(self, sums: Sums) -> Tensor | None:
        if self.weights is None:
            return None
        if len(self.weights) != (count := len(sums["true"])):
            raise InputError(f"class_weights: expected {count} numbers, one a class, got {len(self.weights)}")
        like = next((value for value in sums.values() if value.is_floating_point()), None)
        return constants(self.weights, sums["true"].double() if like is None else like)

    def defined(self, formula: Formula, sums: Sums) -> Tensor:
        """Whether sums have anything to score, a bool scalar."""
        return (formula.class_weights(self.selected(sums), self.rule) > 0).any()


def _of_images(average: Average, formula: Formula, images: Sequence[Sums]) -> tuple[Tensor, Tensor]:
    """The scores of images, and whether each has anything to score."""
    scores = torch.stack([average.single(formula, sums) for sums in images])
    some = torch.stack(
        [(sums["true"].sum() > 0) & (formula.class_weights(sums, average.rule) > 0).any() for sums in images]
    )
    return scores, some


def _image(average: Average, formula: Formula, images: Sequence[Sums]) -> Tensor:
    scores, some = _of_images(average, formula, images)
    return ratio((scores * some).sum(), some.sum())


def _worst(average: Average, formula: Formula, images: Sequence[Sums]) -> Tensor:
    scores, some = _of_images(average, formula, images)
    return scores.where(some, 1).min() * some.any()


AGGREGATES: dict[str, Callable[[Average, Formula, Sequence[Sums]], Tensor]] = {
    "batch": lambda average, formula, images: average.single(formula, images[0]),
    "image": _image,
    "image,class": lambda average, formula, images: average.pooled(formula, images),
    "worst image": _worst,
}


def make_average(
    default: str,
    there: str,
    classes: str | Sequence[int] | None,
    class_weights: Sequence[float] | None,
    absent: str | None,
    aggregate: str,
    rules: Sequence[str],
) -> Average:
    """The average of the options of a loss or a metric; raises InputError for options of another form.

    Args:
        default: the rule without an option.
        there: the rule of the classes that are there.
        classes: a rule by name, or the ids of the classes.
        class_weights: numbers of 0 or more.
        absent: "skip" leaves out classes that are not there, "zero" scores them 0, "one" scores them 1.
        aggregate: a name of AGGREGATES.
        rules: the names of rules that `classes` may be.
    """
    if aggregate not in AGGREGATES:
        raise unknown("aggregate", aggregate, AGGREGATES)
    if absent is not None and absent not in ABSENT:
        raise unknown("rule for absent classes", absent, ABSENT)
    if isinstance(classes, str) and classes not in rules:
        raise unknown("class average", classes, rules)
    ids = None if classes is None or isinstance(classes, str) else _ids(classes)
    rule = classes if isinstance(classes, str) else default
    if absent is not None:
        rule = there if absent == "skip" else "all"
    weights = None if class_weights is None else _weights(class_weights)
    assert rule in CLASS_RULES
    return Average(rule, ids, weights, there if absent == "one" else None, aggregate)


def _ids(classes: Sequence[int]) -> tuple[int, ...]:
    ids = tuple(classes)
    if not ids or not all(is_whole(c, least=0) for c in ids) or len(set(ids)) < len(ids):
        raise InputError(f"classes: expected a rule by name, or different ids of 0 or more, got {list(ids)}")
    return ids


def _weights(given: Sequence[float]) -> tuple[float, ...]:
    weights = tuple(given)
    if not weights or not all(is_number(w) and w >= 0 for w in weights) or not any(weights):
        raise InputError(f"class_weights: expected numbers of 0 or more, one of them above, got {list(weights)}")
    return tuple(map(float, weights))
