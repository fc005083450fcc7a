"""The optimiser of a training: any of torch, with a faster head, and the schedule of its learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra.utils import instantiate
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from autosegloss.errors import InputError, is_number
from autosegloss.training.auxiliary import auxiliary_of
from autosegloss.training.weights import ENCODERS

MakeOptimizer = Callable[..., tuple[Optimizer, LRScheduler]]
_NUMBERS = ("lr", "momentum", "weight_decay", "head_multiplier", "min_lr")


def optimizer_with_schedule(optimizer: Mapping[str, Any], schedule: Mapping[str, Any]) -> MakeOptimizer:
    """Read conf/optimizer and conf/schedule.

    Args:
        optimizer: `_target_` of an optimiser of torch, with its arguments; beside them head_multiplier, by which the
            rate of all but the encoder is multiplied, and min_lr, for the schedule.
        schedule: `_target_` of a function of (optimizer, steps), with its other arguments.

    Returns:
        A function of (network, max_steps) that makes both. It raises InputError for arguments that the optimiser or
        the schedule refuses.

    Raises:
        InputError: A rate is not a number of 0 or more, or lr is 0.
    """
    settings = dict(optimizer)
    for name in _NUMBERS:
        value: Any = settings.get(name, None if name == "lr" else 0)
        if not is_number(value) or value < 0 or (value == 0 and name == "lr"):
            raise InputError(f"optimizer.{name} must be a number of 0 or more (lr: above 0), got {value!r}")
    multiplier = settings.pop("head_multiplier", 1)
    settings.pop("min_lr", None)
    make_optimizer, make_schedule = instantiate(settings), instantiate(schedule)

    def make(network: nn.Module, max_steps: int) -> tuple[Optimizer, LRScheduler]:
        groups = parameter_groups(network, settings["lr"], multiplier)
        with _refusals("optimizer"):
            made = make_optimizer(groups)
        with _refusals("schedule"):
            return made, make_schedule(made, steps=max_steps)

    return make


@contextmanager
def _refusals(key: str) -> Iterator[None]:
    """Within it, an argument that torch refuses is an InputError."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: {' '.join(str(error).split())}") from error


def parameter_groups(network: nn.Module, lr: float, head_multiplier: float = 1) -> list[dict[str, Any]]:
    """The parameters of the encoder, and those of the head, which have `head_multiplier` times the rate.

    A network without an encoder is one group with the rate `lr`. An auxiliary head with a multiplier of its own is a
    third group.
    """
    if (encoder := encoder_of(network)) is None:
        return [{"params": list(network.parameters()), "lr": lr}]
    groups: list[dict[str, Any]] = [{"params": list(encoder.parameters()), "lr": lr}]
    auxiliary = auxiliary_of(network)
    if auxiliary is not None and auxiliary.multiplier is not None:
        groups.append({"params": list(auxiliary.parameters()), "lr": lr * auxiliary.multiplier})
    known = {id(parameter) for group in groups for parameter in group["params"]}
    head = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [*groups[:1], {"params": head, "lr": lr * head_multiplier}, *groups[1:]]


def encoder_of(network: nn.Module) -> nn.Module | None:
    """The part of a network that may be pretrained: its module `encoder` or `backbone`, if it has one."""
    parts = dict(network.named_children())
    return next((parts[name] for name in ENCODERS if name in parts), None)
