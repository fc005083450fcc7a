"""The soft reading of a formula: a loss that any training loop can call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from autosegloss import theta as thetas
from autosegloss.algebra import DenseMap, LabelMap, Map, Prediction, SoftLogic
from autosegloss.algebra.checks import check_channels, check_num_classes, check_shapes
from autosegloss.algebra.inputs import compute_dtype, counted, full_precision, label_map, soft_map
from autosegloss.curves import Curve, CurveFamily
from autosegloss.errors import unknown
from autosegloss.formulas import LOSS_RULES, Formula, Statistics, Sums, resolve
from autosegloss.formulas.formula import values
from autosegloss.kernels.evaluate import can_evaluate, evaluate
from autosegloss.kernels.recompute import recomputed_sums
from autosegloss.scale import ScaledLoss
from autosegloss.theta_card import ThetaCard

SYNC_TIMEOUT = timedelta(minutes=10)
"""The time after which a sum over processes ends in an error; NCCL ends it by the timeout of the process group."""

_CORNER = 32  # pixels a side that are read to learn whether a formula needs maps


class SurrogateLoss(ScaledLoss):
    """The surrogate of a metric: 1 - score, read softly (eq. 7-9), with AND and OR bent by curves of parameters theta.

    Over "all" classes an absent class scores 0, so that even a perfect prediction has a loss where classes are missing.
    A batch without anything to score (all ignored; for boundaries also a single class) has loss 0 and gradient 0.
    In a model given to torch.compile the loss runs outside of the compiled graph, so that `fullgraph=True` is refused.
    It can be differentiated once, by `backward` or `torch.autograd.grad`.

    Args:
        formula: a metric by name ("miou") or a formula, e.g. `BoundaryIoU(width=6)`.
        theta: (D,) numbers in [0, 1], or by operation name; None is the identity, the paper's naive surrogate.
        curve: a curve family by name ("bezier", "linear", "identity") or as an object, e.g. `Bezier(pieces=3)`.
        ignore_index: label of pixels that count for nothing; None counts all pixels. The id of a class leaves the class
            out of the average, too: where it is predicted at other pixels, their classes lose.
        classes: average over "all" classes (1/C, as the paper) or over those "present" in the batch.
        num_classes: the number of channels that logits must have; None takes any.
        sync_statistics: sum the statistics over the processes of torch.distributed, so that data-parallel training
            optimises the loss of the whole batch (with gradients averaged over processes, as DDP does). Each process
            must call the loss equally often: under torch's `Join`, or on one rank alone, it waits for the others.
        scale: a factor before the loss; "ce" has the first batch set it, so that the gradient by the logits is as large
            as cross-entropy's (see `ScaledLoss`), and a learning rate that suits cross-entropy suits this loss better.

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
        classes: str = "all",
        num_classes: int | None = None,
        sync_statistics: bool = False,
        scale: float | str = 1.0,
    ):
        super().__init__(scale, ignore_index)
        self.formula: Formula = resolve(formula)
        self.curve: CurveFamily = CurveFamily.resolve(curve)
        if classes not in LOSS_RULES:
            raise unknown("class average", classes, LOSS_RULES)
        self.num_classes = None if num_classes is None else check_num_classes(num_classes)
        self.classes = classes
        self.sync_statistics = sync_statistics
        for name, rows in thetas.read(theta, self.formula, self.curve).items():
            self.register_buffer(f"theta_{name}", rows.float())
        self._cached_logic: tuple[list[tuple[int, int]], SoftLogic] | None = None
        self._needs_maps: dict[tuple[str, int], bool] = {}

    @classmethod
    def from_pretrained(cls, theta: str | Path, **options: Any) -> SurrogateLoss:
        """The loss of a theta card.

        Args:
            theta: the name of a card that ships with the package ("miou"), or a path to a card.
            options: of the loss, such as `ignore_index`; `classes` and `scale` take the place of the card's own.

        Raises:
            InputError: for a card that does not exist or cannot be read.

        Example:
            >>> from autosegloss import SurrogateLoss
            >>> SurrogateLoss.from_pretrained("biou", ignore_index=0).formula
            BoundaryIoU(width=6)
        """
        card = ThetaCard.load(theta)
        return cls(card.metric, card.theta, card.curve, **{"classes": card.classes, "scale": card.scale, **options})

    @property
    def theta(self) -> thetas.Theta:
        """Parameters (R, K) by operation name."""
        rows = {name: getattr(self, f"theta_{name}", None) for name in self.formula.operations}
        return {name: row for name, row in rows.items() if row is not None}

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (N, C, H, W) or (N, C, D, H, W), floating point.
            labels: the same shape without C, integers in [0, C) or `ignore_index`.

        Returns:
            A scalar in [0, scale], at least float32.

        Raises:
            InputError: for logits or labels of another form.
        """
        if torch.compiler.is_compiling():
            return torch.compiler.disable(self.scaled)(logits, labels)
        return self.scaled(logits, labels)

    def unscaled(self, logits: Tensor, labels: Tensor) -> Tensor:
        check_shapes(logits, labels)
        if self.num_classes is not None:
            check_channels(logits, self.num_classes)
        with full_precision(logits.device):
            sums = self.statistics(logits, labels)
            if self.sync_statistics and dist.is_available() and dist.is_initialized():
                sums = {name: SumOverProcesses.apply(value) for name, value in sums.items()}
            loss = 1 - self.formula.score(counted(sums, self.ignore_index), self.classes)
            return loss.where(sums["true"].sum() > 0, 0)

    def statistics(self, logits: Tensor, labels: Tensor) -> Sums:
        """The soft statistics (C,) of a batch by name, differentiable with respect to the logits."""
        true = label_map(labels, logits.shape[1], self.ignore_index)
        sums = self._sums(self.logic(), logits, true)
        return {name: value.to(compute_dtype(logits.dtype)) for name, value in sums.items()}  # counts, too

    def dense_statistics(self, logits: Tensor, labels: Tensor) -> Sums:
        """The same statistics on dense maps that stay in memory for the gradient; slow, and the reference of tests."""
        true = label_map(labels, logits.shape[1], self.ignore_index)
        pred = DenseMap(soft_map(logits, true.mask))
        sums = values(self.formula.plan(self.logic(), pred, DenseMap(true.dense()), true.mask))
        return {name: value.to(compute_dtype(logits.dtype)) for name, value in sums.items()}

    def _sums(self, logic: SoftLogic, logits: Tensor, true: LabelMap) -> Sums:
        kind = logits.device.type, logits.ndim
        if kind not in self._needs_maps:  # a corner tells, so that the first batch takes no more memory than the others
            corner = (slice(_CORNER),) * (true.labels.ndim - 1)
            labels, mask = true.labels[(slice(1), *corner)], true.mask[(slice(1), slice(1), *corner)]
            first = LabelMap(labels, mask, true.num_classes)
            part = logits.detach()[(slice(1), slice(None), *corner)]
            self._needs_maps[kind] = self._plan(logic, part, first) is None
        plan = None if self._needs_maps[kind] else self._plan(logic, logits, true)
        if plan is not None:
            return evaluate(plan, logits, true)

        def read(pred: Map, true: Map, valid: Tensor) -> Sums:
            return values(self.formula.plan(logic, pred, true, valid))

        return recomputed_sums(read, logits, true, self.formula.classwise)

    def _plan(self, logic: SoftLogic, logits: Tensor, true: LabelMap) -> Statistics | None:
        """The sums of the formula; None if it needs maps of the prediction."""
        prediction = Prediction(logits, true)
        plan = self.formula.plan(logic, prediction, true, true.mask)
        return None if prediction.laid_out or not can_evaluate(plan, logits) else plan

    def logic(self) -> SoftLogic:
        """The soft logic with the curves of theta, made anew after a change of theta: reading theta waits for a GPU."""
        if any(rows.is_inference() for rows in self.theta.values()):
            return self._new_logic()
        state = [(rows.data_ptr(), rows._version) for rows in self.theta.values()]
        if self._cached_logic is None or self._cached_logic[0] != state:
            self._cached_logic = state, self._new_logic()
        return self._cached_logic[1]

    def _new_logic(self) -> SoftLogic:
        points = {name: self.curve.control_points(rows.cpu().double()) for name, rows in self.theta.items()}
        curves = {name: [Curve(self.curve, p) for p in rows] for name, rows in points.items()}
        return SoftLogic(self.formula.operations, curves)

    def extra_repr(self) -> str:
        options = {name: getattr(self, name) for name in ("curve", "classes", "ignore_index", "sync_statistics")}
        options["scale"] = round(float(self.scale), 6)
        return ", ".join([str(self.formula), *(f"{name}={value!r}" for name, value in options.items())])


class SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over the processes of torch.distributed; its gradient is the sum of the gradients.

    The same function in torch.distributed.nn is deprecated, and what takes its place is private.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        try:
            dist.all_reduce(value, async_op=True).wait(SYNC_TIMEOUT)
        except RuntimeError as error:
            raise RuntimeError(
                f"sync_statistics: the sum over the processes failed or took more than {SYNC_TIMEOUT}: each process "
                "must call the loss equally often; under Join, or on one rank alone, use sync_statistics=False"
            ) from error
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return SumOverProcesses.apply(gradient)
