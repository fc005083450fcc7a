"""The soft reading of a formula: a loss that any training loop can call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autosegloss import compiled
from autosegloss import theta as thetas
from autosegloss.algebra import SoftLogic
from autosegloss.algebra.activations import SOFTMAX, Activation, Given
from autosegloss.algebra.checks import check_channels, check_tensors
from autosegloss.algebra.inputs import compute_dtype, full_precision
from autosegloss.algebra.truth import Truth
from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError
from autosegloss.formulas import LOSS_RULES, Formula, Sums, resolve
from autosegloss.formulas.average import make_average
from autosegloss.processes import SumOverProcesses, several_processes
from autosegloss.reading import Reading
from autosegloss.scale import ScaledLoss
from autosegloss.tasks import Task
from autosegloss.tasks.labels import FirstLook, check_probs
from autosegloss.theta_card import ThetaCard
from autosegloss.transforms import transformed

Read = Callable[[Mapping[str, Tensor], Tensor, Truth], Sums]
"""From theta, logits and truth to the sums of a formula."""


class SurrogateLoss(ScaledLoss):
    """The surrogate of a metric: 1 - score, read softly (eq. 7-9), with AND and OR bent by curves of parameters theta.

    Over "all" classes an absent class scores 0: where one is missing, even a perfect prediction has a loss. A batch
    without anything to score (all ignored; for boundaries also a single class) has loss 0 and gradient 0.
    torch.compile takes it whole (`fullgraph=True`). It can be differentiated once; `dense` can be so twice, and its
    operations take its place where theta requires a gradient and where torch.func transforms the loss.

    Args:
        formula: a metric by name ("miou") or a formula, e.g. `BoundaryIoU(width=6)`.
        theta: (D,) numbers, of Bezier curves in [0, 1], or by operation name; None bends nothing.
        curve: a curve family by name ("bezier", "linear", "identity") or as an object, e.g. `Bezier(pieces=3)`.
        ignore_index: label of pixels that count for nothing; None counts all. The id of a class leaves the class out of
            the average, too: where it is predicted at other pixels, their classes lose.
        classes: average over "all" classes (1/C, as the paper), those "present" in the batch, the "foreground" (all but
            the background), or a list of ids or names. Ids are those of the labels.
        num_classes: the channels that logits must have; None takes any.
        sync_statistics: sum the statistics over the processes of torch.distributed, so that DDP optimises the loss of
            the whole batch. Each must call the loss equally often: under `Join`, or on one rank alone, it waits.
        scale: a factor before the loss; "ce" has the first batch set it, so that the gradient by the logits is as large
            as cross-entropy's, see `ScaledLoss`.
        task: "multiclass", "binary" (one logit a pixel), "multilabel", or an object of `autosegloss.tasks`.
        class_weights: (C,) factors of the classes in the average, or of the ids that `classes` lists, in their order.
        absent: classes without a pixel in the truth are left out ("skip"), or score 0 ("zero") or 1 ("one"), without a
            gradient; None goes by `classes`.
        aggregate: "batch" scores the sums of the whole batch; "image" averages over images, "image,class" over pairs of
            both, "worst image" takes the lowest. Images without anything to score do not count; images are computed
            one by one, and not summed over processes.
        from_logits: False takes probabilities, and refuses what is none.
        class_names: (C,) names of the classes by their ids, for names in `classes`.

    Raises:
        InputError: for options, theta, logits or labels of another form.
        RuntimeError: if the other processes have not joined in the sum after `SYNC_TIMEOUT`.

    Example:
        >>> import torch
        >>> from autosegloss import SurrogateLoss
        >>> logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
        >>> labels = torch.randint(3, (2, 8, 8))
        >>> loss = SurrogateLoss("gacc")(logits, labels)
        >>> loss.backward()
        >>> f"{loss:.3f}"
        '0.667'

    Source: Li, Tao et al., "Auto Seg-Loss", ICLR 2021, arXiv 2010.07930, section 4.1.
    """

    def __init__(
        self,
        formula: str | Formula,
        theta: Sequence[float] | Tensor | Mapping[str, Any] | None = None,
        curve: str | CurveFamily = "bezier",
        ignore_index: int | None = 255,
        classes: str | Sequence[int | str] = "all",
        num_classes: int | None = None,
        sync_statistics: bool = False,
        scale: float | str = 1.0,
        task: str | Task = "multiclass",
        class_weights: Sequence[float] | None = None,
        absent: str | None = None,
        aggregate: str = "batch",
        from_logits: bool = True,
        class_names: Sequence[str] | None = None,
    ):
        super().__init__(scale, ignore_index)
        self.formula: Formula = resolve(formula)
        self.curve: CurveFamily = CurveFamily.resolve(curve)
        self.task: Task = Task.resolve(task)
        self.found_for = self.task.name  # the task of the theta card, if there is one
        self.num_classes = None if num_classes is None else self.task.num_classes(num_classes)
        self.classes, self.from_logits, self.sync_statistics = classes, from_logits, sync_statistics
        named = self.task.left_out(ignore_index), self.task.background, class_names
        self.average = make_average("all", "present", classes, class_weights, absent, aggregate, LOSS_RULES, *named)
        if self.num_classes is not None:
            self.average.check(self.num_classes)
        self.bend(thetas.constant(theta))
        activation = self.task.activation if from_logits else Given(self.task.activation)
        self.reading = Reading(self.formula, self.curve, activation)
        self._first_look = FirstLook(self.task.activation is SOFTMAX)

    @classmethod
    def from_pretrained(cls, theta: str | Path, **options: Any) -> SurrogateLoss:
        """The loss of a theta card.

        Args:
            theta: the name of a card that ships with the package ("miou"), or a path to a card.
            options: of the loss, as `ignore_index`; `classes`, `scale` and `task` take the place of the card's own.

        Raises:
            InputError: for a card that does not exist or cannot be read.

        Example:
            >>> from autosegloss import SurrogateLoss
            >>> SurrogateLoss.from_pretrained("biou", ignore_index=0).formula
            BoundaryIoU(width=6)
        """
        card = ThetaCard.load(theta)
        own = {"classes": card.classes, "scale": card.scale, "task": card.task}
        loss = cls(card.metric, card.theta, card.curve, **{**own, **options})
        loss.found_for = card.task
        return loss

    def bend(self, theta: thetas.Given) -> None:
        """Hold a theta, which may require a gradient here."""
        for name, rows in thetas.read(theta, self.formula, self.curve).items():
            self.register_buffer(f"theta_{name}", rows if rows.requires_grad else rows.float())

    @property
    def activation(self) -> Activation:
        """Makes probabilities of logits, and leaves probabilities as they are."""
        return self.reading.activation

    @property
    def theta(self) -> thetas.Theta:
        """Parameters (R, K) by operation name."""
        held = ((name, getattr(self, f"theta_{name}", None)) for name in self.formula.operations)
        return {name: rows for name, rows in held if rows is not None}

    def forward(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (N, C, H, W) or (N, C, D, H, W), floating point; for a binary task also without C.
            labels: of a multiclass task the same shape without C, integers in [0, C) or `ignore_index`, or soft
                labels of the same shape; of other tasks of the same shape, 0 and 1, bool, or soft. See docs/tasks.md.
            valid: the pixels that count, bool, (N, H, W) or (N, 1, H, W), of a multilabel task also (N, C, H, W); None
                counts all. Those with the label to ignore do not count either.

        Returns:
            A scalar in [0, scale], at least float32.

        Raises:
            InputError: for logits or labels of another form.
        """
        held = (*self._buffers.values(), *self._parameters.values())
        if transformed() or any(rows is not None and rows.requires_grad for rows in held):
            return self.dense(logits, labels, valid)
        if torch.compiler.is_compiling():
            check_tensors(logits, labels)
            self.calibrate(logits, labels, valid)
            return compiled.value(self, logits, labels, valid)
        return self.scaled(logits, labels, valid)

    def unscaled(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
        return self._loss(self.reading.sums, *self._batch(logits, labels, valid))

    def dense(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
        """The same loss by plain operations of torch on dense maps, which stay in memory for the gradient: slower.

        It can be differentiated twice, and by theta; torch.func can transform it, and then the values of labels, theta
        and probabilities are not checked.
        """
        if transformed() and not self.calibrated:
            raise InputError(
                'scale="ce" is set by a first batch, whose values torch.func hides: call the loss on a batch before, '
                "or give a number"
            )
        self.calibrate(logits, labels, valid)
        return self.times_scale(self._loss(self.reading.plain_sums, *self._batch(logits, labels, valid)))

    def statistics(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Sums:
        """The soft statistics (C,) of a batch by name, differentiable with respect to the logits."""
        return self._statistics(self.reading.sums, *self._batch(logits, labels, valid))

    def dense_statistics(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Sums:
        """The statistics of `dense`; slow, and the reference of tests."""
        return self._statistics(self.reading.plain_sums, *self._batch(logits, labels, valid))

    def _loss(self, read: Read, logits: Tensor, truth: Truth) -> Tensor:
        with full_precision(logits.device):
            parts = [(logits, truth)]  # a slice of all logits would copy their gradient
            if self.average.aggregate != "batch":
                parts = [(logits[n : n + 1], truth.of_images(slice(n, n + 1))) for n in range(len(logits))]
            sums = [self._shared(read, *part) for part in parts]
            count = torch.stack([self.average.present(own) for own in sums])
            loss = 1 - self.average.score(self.formula, sums, count.unbind())
            return loss.where(count.any(), 0)

    def _batch(self, logits: Tensor, labels: Tensor, valid: Tensor | None) -> tuple[Tensor, Truth]:
        """Logits (N, C, *S), or probabilities, and the truth."""
        logits, truth = self.task.batch(logits, labels, self.ignore_index, valid)
        if self.num_classes is not None:
            check_channels(logits, self.num_classes)
        truth = truth.laid_out()
        if self.from_logits:
            self._first_look.at(logits)
            return logits, truth
        probs = logits.masked_fill(~truth.valid, 0)
        check_probs(logits.where(truth.valid, torch.nan), exclusive=self.task.activation is SOFTMAX)
        return probs, truth

    def cross_entropy(self, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
        """Cross-entropy of the batch, which `scale="ce"` goes by."""
        logits, truth = self._batch(logits, labels, valid)
        return self.activation.cross_entropy(logits, truth.true.dense(), truth.valid)

    def _shared(self, read: Read, logits: Tensor, truth: Truth) -> Sums:
        """The statistics of the classes that are averaged, of all processes if they share them."""
        sums = self._statistics(read, logits, truth)
        if self.sync_statistics and self.average.aggregate == "batch" and several_processes():
            sums = {name: SumOverProcesses.apply(value) for name, value in sums.items()}
        return self.average.selected(sums)

    def _statistics(self, read: Read, logits: Tensor, truth: Truth) -> Sums:
        dtype = compute_dtype(logits.dtype)  # of counts, too
        return {name: value.to(dtype) for name, value in read(self.theta, logits, truth).items()}

    def logic(self) -> SoftLogic:
        """The soft logic with the curves of theta."""
        return self.reading.logic(self.theta)

    def extra_repr(self) -> str:
        names = ("curve", "classes", "ignore_index", "sync_statistics")
        options = [f"{name}={getattr(self, name)!r}" for name in names]
        return ", ".join([str(self.formula), *options, f"scale={round(float(self.scale), 6)!r}"])
