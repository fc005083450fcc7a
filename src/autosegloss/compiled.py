"""A loss in a graph of torch.compile: operators that run it and its gradient as they run without a compiler.

A graph takes the number of a loss and its buffers, so that another loss, or new numbers in them, need no new graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from autosegloss.algebra.inputs import compute_dtype
from autosegloss.once import differentiated_once

_losses: WeakValueDictionary[int, Any] = WeakValueDictionary()
_numbers: Iterator[int] = count()


def numbered(loss: nn.Module) -> Tensor:
    """A number by which graphs of this process find a loss: a tensor (), so that a graph serves any loss of a kind."""
    _losses[number := next(_numbers)] = loss
    return torch.tensor(number, device="cpu")


def value(loss: Any, logits: Tensor, labels: Tensor, valid: Tensor | None) -> Tensor:
    """The loss of a batch, its gradient computed along with it: once, as in a training."""
    differentiated = torch.is_grad_enabled() and logits.requires_grad
    result: Tensor = _value(logits, labels, valid, list(loss.buffers(recurse=False)), loss.number, differentiated)[0]
    return result


def calibrated_scale(loss: Any, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
    """The scale that the batch sets."""
    return _scale(logits.detach(), labels, valid, list(loss.buffers(recurse=False)), loss.number)


@torch.library.custom_op(
    "autosegloss::value",
    mutates_args=(),
    schema="(Tensor logits, Tensor labels, Tensor? valid, Tensor[] state, Tensor number, bool differentiated)"
    " -> (Tensor, Tensor)",
)
def _value(
    logits: Tensor, labels: Tensor, valid: Tensor | None, state: Sequence[Tensor], number: Tensor, differentiated: bool
) -> tuple[Tensor, Tensor]:
    """The loss and its gradient, empty unless it is to be differentiated."""
    loss = _with_state(number, state)
    with torch.inference_mode(False), torch.enable_grad():  # operators run without autograd
        leaf = logits.detach().to(compute_dtype(logits.dtype)).requires_grad_(differentiated)
        result = loss.times_scale(loss.unscaled(leaf, labels, *_given(valid)))
        layout = torch.empty_like(leaf if differentiated else leaf.new_empty(0), device="meta")
        gradient = torch.autograd.grad(result, leaf)[0] if differentiated else leaf.new_empty(0)
    if gradient.stride() != layout.stride():
        gradient = torch.empty_like(layout, device=leaf.device).copy_(gradient)
    return result.detach(), gradient


@_value.register_fake
def _(
    logits: Tensor, labels: Tensor, valid: Tensor | None, state: Sequence[Tensor], number: Tensor, differentiated: bool
) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(logits.dtype)
    gradient = torch.empty_like(logits, dtype=dtype) if differentiated else logits.new_empty(0, dtype=dtype)
    return logits.new_empty((), dtype=dtype), gradient


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.dtype, ctx.buffers = inputs[0].dtype, len(inputs[3])


@differentiated_once
def _gradient(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Any, ...]:
    (gradient,) = ctx.saved_tensors  # an output, so that it leads to the logits
    return (upstream * gradient).to(ctx.dtype), None, None, [None] * ctx.buffers, None, None


_value.register_autograd(_gradient, setup_context=_save)


@torch.library.custom_op(
    "autosegloss::scale",
    mutates_args=(),
    schema="(Tensor logits, Tensor labels, Tensor? valid, Tensor[] state, Tensor number) -> Tensor",
)
def _scale(logits: Tensor, labels: Tensor, valid: Tensor | None, state: Sequence[Tensor], number: Tensor) -> Tensor:
    loss = _with_state(number, [each.clone() for each in state])
    with torch.inference_mode(False), torch.enable_grad():
        loss.calibrate(logits, labels, *_given(valid))
    _losses[int(number)].calibrated = loss.calibrated
    return loss.scale


@_scale.register_fake
def _(logits: Tensor, labels: Tensor, valid: Tensor | None, state: Sequence[Tensor], number: Tensor) -> Tensor:
    return torch.empty((), dtype=torch.float32, device=logits.device)


def _given(valid: Tensor | None) -> tuple[Tensor, ...]:
    return () if valid is None else (valid,)


def _with_state(number: Tensor, state: Sequence[Tensor]) -> Any:
    """A loss with other tensors in the place of its buffers."""
    loss = _losses[int(number)]
    other = object.__new__(type(loss))
    other.__dict__.update(loss.__dict__)
    other.__dict__["_buffers"] = dict(zip(loss._buffers, state, strict=True))
    return other
