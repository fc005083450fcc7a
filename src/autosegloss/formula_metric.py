"""Any formula as an evaluation metric of torchmetrics, whose states are the formula's statistics."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from autosegloss.algebra import Map
from autosegloss.algebra.checks import check_ignore_index
from autosegloss.algebra.truth import Truth, part_of
from autosegloss.errors import InputError
from autosegloss.formulas import Formula, resolve
from autosegloss.formulas.average import make_average
from autosegloss.formulas.exact import averaged, exact_class_scores, exact_sums
from autosegloss.formulas.formula import CLASS_RULES
from autosegloss.tasks import Task
from autosegloss.tasks.labels import FirstLook
from autosegloss.tasks.multiclass import Multiclass


class FormulaMetric(Metric):
    """Any formula as an evaluation metric over a data set: exact integer counts, summed over batches and processes.

    `compute` returns a value in [0, 1], nan if no class is defined; with `per_class` the class scores (C,), nan for
    undefined classes. The keyword arguments are those of `torchmetrics.Metric`: of several processes each must call
    `compute`, which waits for the others unless `sync_on_compute=False`.

    Args:
        formula: a metric by name ("miou") or a formula, e.g. `BoundaryIoU(width=6)`.
        num_classes: C; a binary task has one class, so that it can be left out.
        ignore_index: label of pixels that count for nothing, and of a class that is in no average; None: all count.
        per_class: return the class scores instead of their average.
        task: "multiclass", "binary" or "multilabel", or an object of `autosegloss.tasks` with a threshold.
        classes: the ids or names of the classes that are averaged; None takes those that are defined, "foreground" all
            of these but the background, "present" those in the truth, "all" all, of which absent ones score 0.
        class_weights: (C,) factors of the classes in the average, or of the ids that `classes` lists, in their order.
        absent: of classes that are not defined: "skip" (None) leaves them out, "zero" scores them 0 and "one" 1.
        aggregate: "batch" scores the sums of the data set; "image" averages over images, "image,class" over pairs of an
            image and a class, "worst image" takes the lowest image. Images with nothing to score do not count.
        from_logits: False takes probabilities in the place of logits.
        class_names: (C,) names of the classes by their ids, which `classes` may list then.

    Raises:
        InputError: for other options, or a formula that does not keep to its contract.

    Example:
        >>> import torch
        >>> from autosegloss.metrics import FormulaMetric
        >>> metric = FormulaMetric("miou", num_classes=2)
        >>> metric.update(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]))
        >>> metric.compute()
        tensor(0.5000)
    """

    is_differentiable, higher_is_better, full_state_update = False, True, False
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(
        self,
        formula: str | Formula,
        num_classes: int | None = None,
        ignore_index: int | None = 255,
        per_class: bool = False,
        task: str | Task = "multiclass",
        classes: str | Sequence[int | str] | None = None,
        class_weights: Sequence[float] | None = None,
        absent: str | None = None,
        aggregate: str = "batch",
        from_logits: bool = True,
        class_names: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        formula = resolve(formula)
        try:
            super().__init__(**kwargs)
        except ValueError as error:
            known = ", ".join(formula.options()) or "(none)"
            raise InputError(
                f"{type(self).__name__}: {error}; '{formula.name}' has the options {known}, and torchmetrics its own"
            ) from None
        self.formula: Formula = formula
        self.task: Task = Task.resolve(task)
        self.num_classes, self.per_class = self.task.num_classes(num_classes), per_class
        self.ignore_index, self.from_logits = check_ignore_index(ignore_index), from_logits
        self._first_look = FirstLook(exclusive=False)
        named = self.task.left_out(ignore_index), self.task.background, class_names
        options = (classes, class_weights, absent, aggregate, tuple(CLASS_RULES), *named)
        self.average = make_average("defined", "defined", *options)
        self.average.check(self.num_classes)
        if per_class and aggregate != "batch":
            raise InputError("per_class: class scores are those of the whole data set, with aggregate='batch'")
        states = self._sums(*self._nothing())  # the formula itself names its states
        self._statistics = tuple(states)
        self._no_rows = {name: value[None][:0] for name, value in states.items()}
        for name, value in {**states, self._mark(): torch.empty(0, dtype=torch.int64)}.items():
            if hasattr(self, name):
                raise InputError(f"metric '{formula.name}': torchmetrics uses the name '{name}': rename the statistic")
            if aggregate == "batch" or name not in states:
                self.add_state(name, value, dist_reduce_fx="sum")
            else:
                self.add_state(name, [], dist_reduce_fx="cat")  # a row (1, C) of each image

    def _nothing(self) -> tuple[Map, Truth]:
        """The maps of an image without a pixel that counts."""
        labels = torch.zeros(1, self.num_classes, 32, 32, dtype=torch.int32)
        labels = labels[:, 0] if isinstance(self.task, Multiclass) else labels
        return self.task.judged(labels, labels, self.num_classes, ignore_index=0)

    def _mark(self) -> str:
        """The name of an empty state: a MetricCollection shares states of equal names and equal values at first."""
        settings = f"{self.formula.summed_as()} {self._kind()}"
        return f"sums_of_{sha256(settings.encode()).hexdigest()[:16]}"

    def _kind(self) -> str:
        """What the sums go by beside the formula."""
        kind = f"from_logits={self.from_logits}, aggregate={self.average.aggregate!r}"
        return f"num_classes={self.num_classes}, ignore_index={self.ignore_index}, task={self.task}, {kind}"

    def _sums(self, pred: Map, truth: Truth) -> dict[str, Tensor]:
        return exact_sums(self.formula, pred, truth.true, truth.valid)

    def update(self, preds: Tensor, labels: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            preds: logits (N, C, *S), floating point, or predicted classes (N, *S), integers; of tasks other than
                "multiclass" predicted labels have the shape of the logits.
            labels: (N, *S), integers in [0, C) or `ignore_index`; of other tasks as of `SurrogateLoss`.
            valid: the pixels that count, bool, (N, *S) or (N, 1, *S), of a multilabel task also (N, C, *S); None counts
                all.

        Raises:
            InputError: for predictions or labels of another form.
        """
        given = self.num_classes, self.ignore_index, valid, self.from_logits
        pred, truth = self.task.judged(preds, labels, *given)
        if self.from_logits and not isinstance(self.task, Multiclass):  # the highest of both is the same class
            self._first_look.at(preds)
        if self.average.aggregate == "batch":
            for name, value in self._sums(pred, truth).items():
                setattr(self, name, getattr(self, name) + value)
            return
        for n in truth.valid.flatten(1).any(dim=1).nonzero()[:, 0].tolist():  # an image that is all ignored is none
            one = slice(n, n + 1)
            for name, value in self._sums(part_of(pred, one), truth.of_images(one)).items():
                getattr(self, name).append(value[None])

    def compute(self) -> Tensor:
        if self.average.aggregate == "batch":
            sums = {name: getattr(self, name) for name in self._statistics}
            if self.per_class:
                return exact_class_scores(self.formula, sums, self.num_classes, self.average.left_out).float()
            return averaged(self.formula, [sums], self.average).float()
        rows = {name: dim_zero_cat(own) for name in self._statistics if len(own := getattr(self, name))}
        images = [{name: value[n] for name, value in rows.items()} for n in range(len(rows.get("true", ())))]
        return averaged(self.formula, images, self.average).float().to(self.device)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Sum, or gather, the states of all processes; one that has seen no image takes part."""
        for name, rows in self._no_rows.items():
            if isinstance(own := getattr(self, name), list) and not own:
                own.append(rows.to(self.device))
        super().sync(*args, **kwargs)

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the states of another metric; raises InputError unless it has the same sums."""
        if isinstance(incoming_state, Metric) and getattr(incoming_state, "_mark", str)() != self._mark():
            ours, theirs = (_described(each) for each in (self, incoming_state))
            raise InputError(f"merge_state: expected a metric of the same sums, ({ours}), got ({theirs})")
        super().merge_state(incoming_state)

    def extra_repr(self) -> str:
        return f"{self.formula}, num_classes={self.num_classes}, ignore_index={self.ignore_index}"

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Any = None) -> Any:
        """Figure and axes of matplotlib with a value, or with several in their order; None computes it."""
        return self._plot(val, ax)


def _described(metric: Metric) -> str:
    return f"{metric.formula}, {metric._kind()}" if isinstance(metric, FormulaMetric) else type(metric).__name__
