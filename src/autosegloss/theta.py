"""The flat vector theta: its size and order follow from the formula."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError, unknown
from autosegloss.formulas import Formula
from autosegloss.transforms import traced

Theta = dict[str, Tensor]
"""Parameters (R, K) by operation name: R = 1 curve for both operands, or R = 2, one per operand."""

Given = Sequence[float] | Tensor | Mapping[str, Any] | None
"""A theta as people write it: flat (D,), by operation name, or None for the identity."""


def size(formula: Formula, curve: CurveFamily) -> int:
    """D, the length of the flat theta (Theta of eq. 14): one curve of K numbers per operation, none shared (eq. 9)."""
    return len(formula.operations) * curve.num_parameters


def identity(formula: Formula, curve: CurveFamily) -> Tensor:
    """The flat theta (D,) of curves g(y) = y: mu_0 of the search."""
    return curve.identity().repeat(len(formula.operations))


def read(theta: Given, formula: Formula, curve: CurveFamily) -> Theta:
    """A theta by operation name: from a flat one (D,), from one by name, or, from None, the identity."""
    if isinstance(theta, Mapping):
        return by_name(theta, formula, curve)
    return split(identity(formula, curve) if theta is None else theta, formula, curve)


def constant(theta: Given) -> Given:
    """Return a theta; raises InputError if it requires a gradient, as no optimiser would see a copy of it."""
    parts = theta.values() if isinstance(theta, Mapping) else [theta]
    if any(isinstance(part, Tensor) and part.requires_grad for part in parts):
        raise InputError(
            "theta requires a gradient, but a loss object copies its numbers: train it by "
            "functional.surrogate_loss(logits, labels, formula, theta=theta) or by torch.func.functional_call, "
            "or detach it"
        )
    return theta


def split(theta: Sequence[float] | Tensor, formula: Formula, curve: CurveFamily) -> Theta:
    """A flat theta (D,) by operation name, in the order the formula declares; raises InputError for length or range."""
    theta = _numbers(f"theta of '{formula.name}'", theta)
    expected = size(formula, curve)
    if theta.shape != (expected,):
        raise InputError(
            f"theta of '{formula.name}' with curve '{curve.name}' is {expected} numbers "
            f"({curve.num_parameters} for each of {', '.join(formula.operations)}), got shape {tuple(theta.shape)}"
        )
    rows = theta.reshape(-1, 1, curve.num_parameters) if expected else theta.new_empty(len(formula.operations), 1, 0)
    return _in_range(dict(zip(formula.operations, rows, strict=True)), curve)


def by_name(theta: Mapping[str, Any], formula: Formula, curve: CurveFamily) -> Theta:
    """A theta given by operation name, (K,) or (R, K) each; an operation left out is not bent."""
    for name in theta:
        if name not in formula.operations:
            raise unknown(f"operation of '{formula.name}'", name, formula.operations)
    rows = {name: torch.atleast_2d(_numbers(f"theta of operation '{name}'", row)) for name, row in theta.items()}
    for name, row in rows.items():
        if row.ndim != 2 or row.shape[0] > 2 or row.shape[1] != curve.num_parameters:
            raise InputError(
                f"theta of operation '{name}' is {curve.num_parameters} numbers, or two lists of as many "
                f"(one per operand), got shape {tuple(row.shape)}"
            )
    return _in_range(rows, curve)


def _numbers(what: str, values: Any) -> Tensor:
    """A tensor, an array or nested lists as float64; raises InputError if they hold anything but numbers."""
    if isinstance(values, Tensor):
        return values.double()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):  # of ragged lists, or of tensors numpy cannot read
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{what}: expected numbers, got {reprlib.repr(values)}")
    return torch.tensor(array, dtype=torch.float64)


def _in_range(theta: Theta, curve: CurveFamily) -> Theta:
    if traced():  # their values cannot be read
        return theta
    low, high = curve.interval
    where = f"lie in [{low:g}, {high:g}]" if math.isfinite(high) else "be finite numbers"
    for name, row in theta.items():
        if not bool((row.isfinite() & (row >= low) & (row <= high)).all()):
            raise InputError(f"theta must {where}, got {row.flatten().tolist()} for operation '{name}'")
    return theta
