"""One case of the check of correctness: a loss on the device against the same loss in float64 on the CPU.

Errors are ||out - reference|| / ||reference||, of the value and of the gradient times the number of pixels, so that
half precision can hold it. A curve has kinks and a maximum has ties: where rounding puts a pixel on the other side of
one, its gradient is another, though both are right. So a gradient has two limits, one without the thousandth of its
elements that differ most, and a wide one with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gpu.record import guarded
from gpu.scenes import IGNORE, laid_out, random_batch

VALUE = 1e-4
GRADIENT = {"float32": (1e-4, 2e-2), "float16": (2e-2, 0.1), "bfloat16": (2e-2, 0.1)}
_LEAST = {"value": 1e-2, "gradient": 1e-1}  # smaller references count as this: that of a single class is 0

Loss = torch.nn.Module


class Case(NamedTuple):
    """A batch; `ignored` is the share of its pixels whose label is ignored and, with `nan`, whose logits are nan."""

    curve: str
    shape: Sequence[int]
    layouts: Sequence[str] = ("contiguous",)
    ignored: float = 0.1
    nan: bool = True


class Errors(NamedTuple):
    """Of the value, of the gradient without its worst elements, and of the whole gradient."""

    value: float
    gradient: float
    whole_gradient: float

    def faulty(self, dtype: str) -> bool:
        limits = (VALUE, *GRADIENT[dtype])
        return not all(error <= limit for error, limit in zip(self, limits, strict=True))  # nan never passes


class Reference:
    """Logits rounded to a type, labels, and the value and gradient of a loss in float64 on the CPU."""

    def __init__(self, loss: Loss, case: Case, dtype: torch.dtype, seed: int, ignore: int = IGNORE):
        self.case = case
        logits, self.labels = random_batch(case.shape, case.ignored, seed, ignore)
        self.logits, self.hidden = logits.to(dtype), (self.labels == ignore).unsqueeze(1)
        self.value, self.gradient = self._of(loss, self.logits.double(), self.labels)

    def errors(self, loss: Loss, layout: str, device: torch.device) -> Errors:
        """Those of the loss on the device."""
        logits = self.logits.masked_fill(self.hidden, torch.nan) if self.case.nan else self.logits
        value, gradient = self._of(loss, laid_out(logits.to(device), layout), self.labels.to(device))
        return Errors(
            relative(value, self.value, _LEAST["value"]),
            relative(gradient, self.gradient, _LEAST["gradient"], without=1e-3),
            relative(gradient, self.gradient, _LEAST["gradient"]),
        )

    def _of(self, loss: Loss, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        leaf = logits.detach().requires_grad_()
        value = loss(leaf, labels)
        (gradient,) = torch.autograd.grad(value * labels.numel(), leaf)
        return value.detach().double().cpu(), gradient.double().cpu()


def relative(out: Tensor, reference: Tensor, least: float, without: float = 0.0) -> float:
    """||out - reference|| / ||reference||, without a share of the elements that differ most; nan for any nan."""
    differences = (out - reference).abs().flatten()
    if not differences.isfinite().all():
        return math.nan
    kept = differences.sort().values[: differences.numel() - math.ceil(without * differences.numel())]
    return (kept.norm() / max(reference.norm().item(), least)).item()


def check(
    name: str, dtype: str, cases: Sequence[Case], make: Callable[[Case, int], Loss], device: torch.device, seed: int
) -> Iterator[dict]:
    """A line for each case that fails, then one of the worst cases of a loss in one type."""
    errors: dict[str, Errors] = {}
    faults = 0
    for number, case in enumerate(cases, seed):
        about = {"name": name, "dtype": dtype, "case_seed": number}
        for line in guarded(lambda case=case, number=number: _of_case(case, dtype, make, device, number), **about):
            if "error" not in line:
                errors[line["case"]] = line.pop("errors")
            if "error" in line or errors[line["case"]].faulty(dtype):
                faults += 1
                yield {**line, "case": line.get("case", str(tuple(case))), "fault": True}
    yield {"name": name, "dtype": dtype, "cases": len(errors), "faults": faults, **_worst(errors)}


def _of_case(
    case: Case, dtype: str, make: Callable[[Case, int], Loss], device: torch.device, seed: int
) -> Iterator[dict]:
    loss = make(case, seed)
    reference = Reference(loss, case, getattr(torch, dtype), seed)
    loss.to(device)
    for layout in case.layouts:
        errors = reference.errors(loss, layout, device)
        described = f"{case.curve} {tuple(case.shape)} {layout} ignored={case.ignored} nan={case.nan}"
        yield {"case": described, "errors": errors, **errors._asdict()}


def _worst(errors: dict[str, Errors]) -> dict:
    """The largest error of each kind, and its case."""
    worst: dict[str, object] = {}
    for kind in Errors._fields if errors else ():
        case = max(errors, key=lambda case: _order(getattr(errors[case], kind)))
        worst |= {kind: getattr(errors[case], kind), f"{kind}_case": case}
    return worst


def _order(error: float) -> float:
    return math.inf if math.isnan(error) else error
