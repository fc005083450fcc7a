"""Gradients that have no gradient themselves, and say so."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from autosegloss.errors import InputError

Backward = Callable[..., tuple[Any, ...]]


class Once(torch.autograd.Function):
    """A gradient as it is, and the tensors that it depends on; raises InputError where it is differentiated."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *origins: Tensor | None) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[None, ...]:
        raise InputError(
            "a surrogate loss is differentiated once: take loss.dense(logits, labels), which can be so twice"
        )


def differentiated_once(backward: Backward) -> Backward:
    """A backward pass whose first gradient refuses another one.

    The saved tensors have to lead to the first input: it, or an output, is among them. `once_differentiable` of torch
    refuses only where the upstream gradients require a gradient, and else gives a second derivative of 0.
    """

    @wraps(backward)
    def checked(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
        with torch.no_grad():
            first, *others = backward(ctx, *upstream)
        if torch.is_grad_enabled():
            first = Once.apply(first, *ctx.saved_tensors, *upstream)
        return first, *others

    return checked
