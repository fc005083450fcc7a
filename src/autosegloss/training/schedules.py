"""Schedules of the learning rate, per step: functions of an optimiser and the number of steps of the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, OneCycleLR, SequentialLR

from autosegloss.errors import InputError, is_number, is_whole


def poly(optimizer: Optimizer, steps: int, power: float, min_lr: float, warmup: int = 0) -> LRScheduler:
    """The rate falls as min_lr + (lr - min_lr) (1 - step / steps)^power, as in the paper (appendix A).

    Args:
        optimizer: its rates are those of the beginning.
        steps: of the training.
        power: of the polynomial.
        min_lr: the rate at the end.
        warmup: steps of a linear rise before; the fall takes the others.

    Raises:
        InputError: A setting is not a number of 0 or more, or the warm-up takes all steps.
    """
    _check("power", power)
    _check("min_lr", min_lr)

    def fall(count: int) -> LRScheduler:
        def decay(start: float) -> Callable[[int], float]:
            floor = min(min_lr / start, 1)
            return lambda step: floor + (1 - floor) * max(0, 1 - step / count) ** power

        return LambdaLR(optimizer, [decay(group["lr"]) for group in optimizer.param_groups])

    return _after_warmup(optimizer, steps, warmup, fall)


def cosine(optimizer: Optimizer, steps: int, min_lr: float, warmup: int = 0) -> LRScheduler:
    """The rate falls along half of a cosine to min_lr; the arguments and errors are those of `poly`."""
    _check("min_lr", min_lr)
    return _after_warmup(optimizer, steps, warmup, lambda count: CosineAnnealingLR(optimizer, count, eta_min=min_lr))


def constant(optimizer: Optimizer, steps: int, warmup: int = 0) -> LRScheduler:
    """The rate stays; the arguments and errors are those of `poly`."""
    return _after_warmup(optimizer, steps, warmup, lambda _: LambdaLR(optimizer, lambda step: 1.0))


def one_cycle(optimizer: Optimizer, steps: int, **options: Any) -> LRScheduler:
    """The rate rises to that of the optimiser and falls to almost 0 (Smith and Topin, 2017); momentum does the reverse.

    Args:
        optimizer: its rates are those at the top.
        steps: of the training.
        options: of torch's OneCycleLR, e.g. pct_start, the share of the steps in which the rate rises.
    """
    return OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps, **options)


def _after_warmup(optimizer: Optimizer, steps: int, warmup: int, main: Callable[[int], LRScheduler]) -> LRScheduler:
    """`main(count)`, a schedule of `count` steps, after `warmup` steps in which the rate rises in equal parts."""
    if not is_whole(warmup, least=0) or (warmup and warmup >= steps):
        raise InputError(f"schedule.warmup must be a whole number from 0 to {steps - 1}, got {warmup!r}")
    if not warmup:
        return main(steps)
    after = main(steps - warmup)  # first: it takes the rates of the optimiser for those of its beginning
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, after], milestones=[warmup])


def _check(name: str, value: float) -> None:
    if not is_number(value) or value < 0:
        raise InputError(f"schedule.{name} must be a number of 0 or more, got {value!r}")
