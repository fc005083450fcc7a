"""The optimiser of the paper: SGD with a faster head and polynomial decay (appendix A)."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from autosegloss.errors import InputError


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
    """SGD whose rate falls as min_lr + (lr - min_lr) (1 - step / max_steps)^power; all but the encoder learn
    `head_multiplier` times as fast.

    Raises InputError for a setting that is not a number of 0 or more, or a learning rate of 0.
    """
    rates = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "min_lr": min_lr}
    for name, value in {**rates, "head_multiplier": head_multiplier, "power": power}.items():
        if not isinstance(value, (int, float)) or value < 0 or (value == 0 and name == "lr"):
            raise InputError(f"optimizer.{name} must be a number of 0 or more (lr: above 0), got {value!r}")
    encoder = list(network.encoder.parameters())
    known = {id(p) for p in encoder}
    head = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": encoder, "lr": lr}, {"params": head, "lr": lr * head_multiplier}]
    optimizer = SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def decay(initial: float):
        floor = min(min_lr / initial, 1)
        return lambda step: floor + (1 - floor) * max(0, 1 - step / max_steps) ** power

    return optimizer, LambdaLR(optimizer, [decay(group["lr"]) for group in groups])
