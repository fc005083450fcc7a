"""How the scores of classes and images become one: the options that losses and metrics share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosegloss.algebra.constants import constants, indices
from autosegloss.algebra.inputs import accumulation_dtype, counted, is_class
from autosegloss.errors import InputError, is_number, is_whole, unknown
from autosegloss.formulas.formula import Formula, Sums, ratio

ABSENT = ("skip", "zero", "one")
FOREGROUND = "foreground"
"""All classes but the background."""

_names: ContextVar[Sequence[str] | None] = ContextVar("names", default=None)


@contextmanager
def class_names_are(names: Sequence[str]) -> Iterator[None]:
    """Let losses and metrics made meanwhile know the classes of the data by their names."""
    token = _names.set(names)
    try:
        yield
    finally:
        _names.reset(token)


@dataclass(frozen=True)
class Average:
    """The average over classes, and over images. Its sums are first `selected`.

    Args:
        rule: the classes that count: "all", those "present" in the truth, those "defined".
        ids: the classes that are averaged; None takes all.
        weights: of these classes, in their order; None weighs them by the formula alone.
        there: the rule of the classes that are there: others score 1; None leaves them their score, which is 0.
        aggregate: "batch" scores the sums of all images; "image" averages the scores of single images, "image,class"
            those of all pairs of an image and a class, "worst image" takes the lowest.
        left_out: the class that is in no average, as its id is the label to ignore.
        background: the class that is out of this average, which takes all others.
    """

    rule: str
    ids: tuple[int, ...] | None = None
    weights: tuple[float, ...] | None = None
    there: str | None = None
    aggregate: str = "batch"
    left_out: int | None = None
    background: int | None = None

    def chosen(self, num_classes: int) -> tuple[int, ...] | None:
        """The ids of the classes that are averaged; None for all."""
        if self.background is None:
            return self.ids
        return tuple(c for c in range(num_classes) if c not in (self.background, self.left_out))

    def check(self, num_classes: int) -> None:
        """Raise InputError for ids or weights that do not fit the number of classes."""
        ids = self.chosen(num_classes)
        if ids == ():
            raise InputError(f"classes='{FOREGROUND}': of {num_classes} classes none is left beside the background")
        if ids is not None and max(ids) >= num_classes:
            raise InputError(f"classes: expected ids below {num_classes}, got {max(ids)}")
        count = num_classes if ids is None else len(ids)
        if self.weights is not None and len(self.weights) != count:
            which = "one a class" if ids is None else "one for each of `classes`"
            raise InputError(f"class_weights: expected {count} numbers, {which}, got {len(self.weights)}")

    def selected(self, sums: Sums) -> Sums:
        """The sums, of C classes, of those that are averaged; raises InputError as `check` does."""
        self.check(len(sums["true"]))
        ids = self.chosen(len(sums["true"]))
        if ids is None:
            return counted(sums, self.left_out)
        index = indices(ids, sums["true"].device)
        return {name: value[index] for name, value in sums.items()}

    def score(self, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None = None) -> Tensor:
        """The score, a scalar, of the sums (C,) of images, or of the one sum of a batch.

        Args:
            formula: makes scores of the sums.
            images: the sums.
            count: of each image whether it counts, a bool scalar; None counts all.
        """
        return AGGREGATES[self.aggregate](self, formula, images, count)

    def single(self, formula: Formula, sums: Sums) -> Tensor:
        """The score of the sums of one image, or of a batch."""
        return formula.score(sums, self.rule, self._given(sums), self.there)

    def pooled(self, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None) -> Tensor:
        """The score over all pairs of an image and a class."""
        given = [self._given(sums) for sums in images]
        if count is not None:
            ones = [torch.ones_like(sums["true"]) for sums in images]
            given = [(one if own is None else own) * some for one, own, some in zip(ones, given, count, strict=True)]
        factors = [own for own in given if own is not None]
        return formula.pooled(images, self.rule, factors or None, self.there)

    def defined(self, formula: Formula, sums: Sums) -> Tensor:
        """Whether sums have anything to score, a bool scalar."""
        weights, given = formula.class_weights(sums, self.rule), self._given(sums)
        return ((weights if given is None else weights * given) > 0).any()

    def present(self, sums: Sums) -> Tensor:
        """Whether a class that is averaged is in the truth, a bool scalar."""
        given = self._given(sums)
        return (sums["true"] if given is None else sums["true"] * given).sum() > 0

    def _given(self, sums: Sums) -> Tensor | None:
        """The factors of the classes."""
        if self.weights is None:
            return None
        weights = self.weights
        if self.ids is None and self.background is None and is_class(self.left_out, len(weights)):
            weights = weights[: self.left_out] + weights[self.left_out + 1 :]
        device = sums["true"].device
        soft = next((value for value in sums.values() if value.is_floating_point()), None)
        return constants(
            weights, torch.empty(0, dtype=accumulation_dtype(device), device=device) if soft is None else soft
        )


def _of_images(
    average: Average, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None
) -> tuple[Tensor, Tensor]:
    """The scores of images, and which of them count."""
    scores = torch.stack([average.single(formula, sums) for sums in images])
    some = torch.stack([average.defined(formula, sums) for sums in images])
    return scores, some if count is None else some & torch.stack(list(count))


def _batch(average: Average, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None) -> Tensor:
    (sums,) = images
    return average.single(formula, sums)


def _image(average: Average, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None) -> Tensor:
    scores, some = _of_images(average, formula, images, count)
    return ratio((scores * some).sum(), some.sum().to(scores.dtype))


def _worst(average: Average, formula: Formula, images: Sequence[Sums], count: Sequence[Tensor] | None) -> Tensor:
    scores, some = _of_images(average, formula, images, count)
    return scores.where(some, 1).min() * some.any()


AGGREGATES: dict[str, Callable[[Average, Formula, Sequence[Sums], Sequence[Tensor] | None], Tensor]] = {
    "batch": _batch,
    "image": _image,
    "image,class": lambda average, formula, images, count: average.pooled(formula, images, count),
    "worst image": _worst,
}


def make_average(
    default: str,
    there: str,
    classes: str | Sequence[int | str] | None,
    class_weights: Sequence[float] | None,
    absent: str | None,
    aggregate: str,
    rules: Sequence[str],
    left_out: int | None = None,
    background: Callable[[Sequence[str] | None], int | None] = lambda names: None,
    class_names: Sequence[str] | None = None,
) -> Average:
    """The average of the options of a loss or a metric; raises InputError for options of another form.

    Args:
        default: the rule without an option.
        there: the rule of the classes that are there.
        classes: a rule by name, "foreground", or the ids or names of the classes.
        class_weights: numbers of 0 or more.
        absent: "skip" leaves out classes that are not there, "zero" scores them 0, "one" scores them 1.
        aggregate: a name of AGGREGATES.
        rules: the names of rules that `classes` may be.
        left_out: the class that is in no average.
        background: from class names, which may be None, to the class that "foreground" leaves out, if the task has one.
        class_names: of the classes by their ids; None takes those of `class_names_are`.
    """
    names, out = class_names or _names.get(), None
    if isinstance(classes, str) and classes == FOREGROUND:
        classes, out = None, background(names)
    if aggregate not in AGGREGATES:
        raise unknown("aggregate", aggregate, AGGREGATES)
    if absent is not None and absent not in ABSENT:
        raise unknown("rule for absent classes", absent, ABSENT)
    if isinstance(classes, str) and classes not in rules:
        raise unknown("class average", classes, [*rules, FOREGROUND])
    if classes == "present" and absent in ("zero", "one"):
        raise InputError(
            f"classes='present' leaves absent classes out, absent={absent!r} does not: leave out one of them"
        )
    ids = None if classes is None or isinstance(classes, str) else _ids(classes, left_out, names)
    rule = classes if isinstance(classes, str) else default
    if absent is not None and classes != "present":
        rule = there if absent == "skip" else "all"
    weights = None if class_weights is None else _weights(class_weights)
    return Average(rule, ids, weights, there if absent == "one" else None, aggregate, left_out, out)


def _ids(classes: Sequence[int | str], left_out: int | None, names: Sequence[str] | None) -> tuple[int, ...]:
    ids = tuple(_id(c, names) if isinstance(c, str) else c for c in _listed(classes))
    if not ids or not all(is_whole(c, least=0) for c in ids) or len(set(ids)) < len(ids):
        raise InputError(f"classes: expected a rule by name, or different ids of 0 or more, got {classes!r}")
    if left_out in ids:
        raise InputError(f"classes: {left_out} is the label to ignore (ignore_index): leave it out")
    return tuple(map(int, ids))


def _id(name: str, names: Sequence[str] | None) -> int:
    if names is None:
        raise InputError(f"classes: '{name}' is a name: give class_names, the names of all classes in the order of ids")
    if name not in names:
        raise unknown("class", name, names)
    return list(names).index(name)


def _listed(given: Any) -> tuple[Any, ...]:
    values = given.tolist() if isinstance(given, Tensor) else given
    return tuple(values) if isinstance(values, Iterable) else (values,)


def _weights(given: Sequence[float]) -> tuple[float, ...]:
    weights = _listed(given)
    if not weights or not all(is_number(w) and w >= 0 for w in weights) or not any(weights):
        raise InputError(f"class_weights: expected numbers of 0 or more, one of them above, got {list(weights)}")
    return tuple(map(float, weights))
