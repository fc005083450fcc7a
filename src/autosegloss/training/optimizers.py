"""The optimiser of the paper: SGD with a faster head and polynomial decay (appendix A)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from autosegloss.errors import InputError
from autosegloss.training.weights import ENCODERS


def poly_sgd(
    network: nn.Module,
    max_steps: int,
    lr: float,
    momentum: float,
    weight_decay: float,
    head_multiplier: float,
    power: float,
    min_lr: float,
) -> tuple[SGD, LambdaLR]:
    """Make SGD whose rate falls at each step as min_lr + (lr - min_lr) (1 - step / max_steps)^power.

    The parameters outside network.encoder, the head, have `head_multiplier` times the rate; those of a network without
    an encoder (or backbone) all have the rate itself. Raises InputError for a setting that is not a number of 0 or
    more, or a learning rate of 0.
    """
    rates = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "min_lr": min_lr}
    for name, value in {**rates, "head_multiplier": head_multiplier, "power": power}.items():
        if not isinstance(value, (int, float)) or value < 0 or (value == 0 and name == "lr"):
            raise InputError(f"optimizer.{name} must be a number of 0 or more (lr: above 0), got {value!r}")
    named = list(network.named_parameters())
    encoder = [p for name, p in named if name.split(".")[0] in ENCODERS] or [p for _, p in named]
    known = {id(p) for p in encoder}
    head = [p for p in network.parameters() if id(p) not in known]
    initial = [lr, lr * head_multiplier]
    groups = [{"params": params, "lr": rate} for params, rate in zip((encoder, head), initial, strict=True)]
    optimizer = SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def decay(start: float) -> Callable[[int], float]:
        floor = min(min_lr / start, 1)
        return lambda step: floor + (1 - floor) * max(0, 1 - step / max_steps) ** power

    return optimizer, LambdaLR(optimizer, [decay(rate) for rate in initial])
