"""From a plan, the described sums of a formula, to their values."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from autosegloss.algebra import CurveSum, DenseMap, LabelMap, Map, Prediction, SoftLogic, Term
from autosegloss.algebra.activations import SOFTMAX, Activation
from autosegloss.algebra.inputs import label_map, soft_map
from autosegloss.algebra.truth import Truth
from autosegloss.curves import Bezier, Curve
from autosegloss.formulas import BoundaryF1
from autosegloss.formulas.formula import Statistics, Sums, values
from autosegloss.kernels.fused import fused_sums
from autosegloss.with_triton import check_close, kernels_on, readable


def evaluate(plan: Statistics, logits: Tensor, truth: Truth, activation: Activation = SOFTMAX) -> Sums:
    """The values (C,) of a plan made with `Prediction(logits, truth)`, differentiable by the logits (N, C, *S)."""
    terms = _terms(plan)
    curve_sums = [term for term in terms if isinstance(term, CurveSum)]
    computed: dict[Term, Tensor] = {}
    if curve_sums:
        flat = [CurveSum(t.curve, None if t.mask is None else t.mask.flatten(2), t.at_labels) for t in curve_sums]
        labels = truth.true.labels.flatten(1) if isinstance(truth.true, LabelMap) else None
        sums = fused_sums(logits.flatten(2), labels, truth.valid.flatten(2), flat, activation)
        computed.update(zip(curve_sums, sums.unbind(), strict=True))
    if others := [term for term in terms if not isinstance(term, CurveSum)]:
        kernels = boundary_kernels(logits)
        assert kernels is not None, "can_evaluate() comes first"
        computed.update(kernels.evaluate(others, logits, truth.true))
    return values(plan, computed)


def can_evaluate(plan: Statistics, logits: Tensor, true: Map, activation: Activation = SOFTMAX) -> bool:
    """Whether `evaluate` has kernels for all terms of a plan; else the formula needs maps."""
    others = [term for term in _terms(plan) if not isinstance(term, CurveSum)]
    if not others:
        return True
    kernels = boundary_kernels(logits) if activation is SOFTMAX else None
    return kernels is not None and kernels.fits(others, logits, true)


def boundary_kernels(logits: Tensor) -> ModuleType | None:
    """The module of the sums over boundaries, if it can be used for such logits.

    Its gradients are added up in any order, so that it is not for deterministic algorithms.
    """
    if not readable(logits) or torch.are_deterministic_algorithms_enabled():
        return None
    return kernels_on(logits.device, "autosegloss.kernels.boundary", check_boundary)


def check_boundary(kernels: ModuleType, device: torch.device) -> None:
    """Raise RuntimeError if the kernels give other sums or gradients on a small batch than dense maps."""
    random, formula = torch.Generator().manual_seed(0), BoundaryF1(tolerance=2)
    curve = Curve(Bezier(), Bezier().control_points(torch.full((6,), 0.4)))
    logic = SoftLogic(formula.operations, {name: [curve] for name in formula.operations})
    logits = (3 * torch.randn(2, 4, 12, 13, generator=random, dtype=torch.float32)).to(device).requires_grad_()
    labels = torch.randint(5, (2, 3, 4), generator=random).repeat_interleave(4, 1).repeat_interleave(4, 2)[..., :13]
    true = label_map(labels.to(device), 4, ignore_index=4)
    plan = formula.plan(logic, Prediction(logits, Truth(true, true.mask)), true, true.mask)
    ours = values(plan, kernels.evaluate(_terms(plan), logits, true))
    theirs = values(formula.plan(logic, DenseMap(soft_map(logits, true.mask)), DenseMap(true.dense()), true.mask))
    names = [name for name, value in ours.items() if value.is_floating_point()]
    if not names:
        raise RuntimeError("the check of sums over boundaries has no sums")
    for one, other in zip(*([sums[name].float() for name in names] for sums in (ours, theirs)), strict=True):
        check_close("sums over boundaries", one, other)
        gradients = (torch.autograd.grad(x.square().sum(), logits, retain_graph=True)[0] for x in (one, other))
        check_close("their gradients", *gradients)


def _terms(plan: Statistics) -> list[Term]:
    return list(dict.fromkeys(term for total in plan.values() for _, term in total.terms if isinstance(term, Term)))
