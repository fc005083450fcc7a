"""From logits to classes: the most probable one, or the choice that RankSEG makes for the IoU of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autosegloss.errors import not_installed, unknown

Decoder = Callable[[Tensor], Tensor]
"""Classes int64 (N, H, W) of logits (N, C, H, W)."""


def argmax(logits: Tensor) -> Tensor:
    """The most probable class of each pixel."""
    return logits.argmax(dim=1)


def rankseg(logits: Tensor) -> Tensor:
    """The classes that maximise the expected IoU of each image, nearly: RankSEG-RMA (Wang and Dai, NeurIPS 2025).

    All classes take part: by itself the package leaves out those that are nowhere more probable than 0.5.

    Raises:
        InputError: the package rankseg is not installed.
    """
    try:
        from rankseg import RankSEG
    except ImportError as error:
        raise not_installed("decode=rankseg", "rankseg", extra="rankseg") from error
    best = RankSEG(metric="IoU", output_mode="multiclass", solver="RMA", pruning_prob=0.0)
    return best.predict(torch.softmax(logits.float(), dim=1))


DECODERS: dict[str, Decoder] = {"argmax": argmax, "rankseg": rankseg}


def decoder(name: str) -> Decoder:
    """The decoder of this name; raises InputError for an unknown one."""
    if name not in DECODERS:
        raise unknown("decode", name, DECODERS)
    return DECODERS[name]
