"""How a loss reads its formula softly: by kernels that are fast, or by plain operations that torch can transform."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from autosegloss.algebra import DenseMap, Map, PlainLogic, Prediction, SoftLogic
from autosegloss.algebra.activations import Activation
from autosegloss.algebra.inputs import accumulation_dtype
from autosegloss.algebra.maps import map_of_labels
from autosegloss.algebra.morphology import plain_pooling
from autosegloss.algebra.truth import Truth
from autosegloss.curves import Curve, CurveFamily, PlainCurve
from autosegloss.formulas import Formula, Statistics, Sums
from autosegloss.formulas.formula import values
from autosegloss.kernels.evaluate import can_evaluate, evaluate
from autosegloss.kernels.recompute import recomputed_sums

_CORNER = 32  # pixels a side that are read to learn whether a formula needs maps

Theta = Mapping[str, Tensor]
"""Parameters (R, K) by operation name."""


class Reading:
    """The sums (C,) of a formula over the probabilities of logits (N, C, *S).

    Args:
        formula: what is summed.
        curve: the family of the curves.
        activation: makes the probabilities.
    """

    def __init__(self, formula: Formula, curve: CurveFamily, activation: Activation):
        self.formula, self.curve, self.activation = formula, curve, activation
        self._cached_logic: tuple[list[Tensor], list[tuple[int, int]], SoftLogic] | None = None
        self._needs_maps: dict[tuple, bool] = {}

    def sums(self, theta: Theta, logits: Tensor, truth: Truth) -> Sums:
        """The sums, differentiable once by the logits."""
        logic = self.logic(theta)
        kind = logits.device, logits.dtype, logits.ndim, type(truth.true), torch.are_deterministic_algorithms_enabled()
        if kind not in self._needs_maps:  # a corner tells, so that the first batch takes no more memory than the others
            corner = (slice(1), slice(None), *[slice(_CORNER)] * (logits.ndim - 2))
            self._needs_maps[kind] = self._plan(logic, logits.detach()[corner], truth.corner(_CORNER)) is None
        if not self._needs_maps[kind] and (plan := self._plan(logic, logits, truth)) is not None:
            return evaluate(plan, logits, truth, self.activation)
        return recomputed_sums(partial(self._read, logic), logits, truth, self.formula.classwise, self.activation)

    def plain_sums(self, theta: Theta, logits: Tensor, truth: Truth) -> Sums:
        """The sums by plain operations of torch, differentiable twice by the logits and by theta."""
        dtype = accumulation_dtype(logits.device)
        points = {name: self.curve.control_points(rows.to(dtype)) for name, rows in theta.items()}
        curves = {name: [PlainCurve(self.curve, own) for own in rows.unbind()] for name, rows in points.items()}
        pred, true = DenseMap(self.activation.probs(logits, truth.valid)), map_of_labels(truth.true.dense())
        with plain_pooling():
            return self._read(PlainLogic(self.formula.operations, curves), pred, true, truth.valid)

    def logic(self, theta: Theta) -> SoftLogic:
        """The soft logic with the curves of theta, made anew after a change of theta: reading theta waits for a GPU."""
        rows = list(theta.values())
        if any(row.is_inference() for row in rows):
            return self._new_logic(theta)
        state = [(row.data_ptr(), row._version) for row in rows]
        if self._cached_logic is None or self._cached_logic[1] != state:
            self._cached_logic = rows, state, self._new_logic(theta)  # held, so that no other theta takes their place
        return self._cached_logic[2]

    def _new_logic(self, theta: Theta) -> SoftLogic:
        points = {name: self.curve.control_points(rows.detach().cpu().double()) for name, rows in theta.items()}
        return SoftLogic(self.formula.operations, {k: [Curve(self.curve, p) for p in v] for k, v in points.items()})

    def _read(self, logic: SoftLogic, pred: Map, true: Map, valid: Tensor) -> Sums:
        return values(self.formula.plan(logic, pred, true, valid))

    def _plan(self, logic: SoftLogic, logits: Tensor, truth: Truth) -> Statistics | None:
        """The sums of the formula; None if it needs maps of the prediction."""
        prediction = Prediction(logits, truth, self.activation)
        plan = self.formula.plan(logic, prediction, truth.true, truth.valid)
        return None if prediction.laid_out or not can_evaluate(plan, logits, truth.true, self.activation) else plan
