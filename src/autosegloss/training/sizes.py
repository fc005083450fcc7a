"""Whether a network takes images of the sizes that the data have, before it is trained on them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autosegloss.errors import InputError
from autosegloss.training.module import MULTIPLE

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData

_MISTAKES = (AssertionError, RuntimeError, ValueError, TypeError, IndexError)  # of networks given a wrong size


def check_sizes(network: nn.Module, data: SegmentationData, channels: int) -> None:
    """Raise InputError unless the network gives logits of so many channels for images of the sizes of the data.

    Windows to train on are cut out of images of any size, so that another size is tried as well. Images that keep
    their size all have that of the first.
    """
    given = data.size or data.crop or data.source.samples("train")[0].load()[0].shape[1:]
    height, width = (-(-length // MULTIPLE) * MULTIPLE for length in given)
    bands = data.source.channels
    _check(network, channels, (2, bands, height, width), f"{height}x{width}")
    if data.crop:
        taller, wider = height + MULTIPLE, width + 2 * MULTIPLE
        _check(network, channels, (2, bands, taller, wider), f"{taller}x{wider}, which whole images to judge may have")


def _check(network: nn.Module, channels: int, shape: tuple[int, ...], size: str) -> None:
    try:
        logits = _logits(network, shape)
    except _MISTAKES as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(
            f"the network does not take images of {size} ({type(error).__name__}: {reason}): set data.size to what it "
            "takes, or tell it to take others: +network.dynamic_img_size=true (ViT), +network.img_size=[H,W] (Swin, "
            "MaxViT); PAN needs 128x128 or more"
        ) from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 4 or logits.shape[:2] != (2, channels):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise InputError(f"the network must give logits (N, {channels}, H, W), got {got} for images {shape}")


def _logits(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """The output for images of a shape: computed without numbers, or with them where that fails."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            return copy.deepcopy(network).to("meta").eval()(torch.empty(shape, device="meta"))
        except Exception:  # an operation that wants numbers, or the mistake that is looked for
            return copy.deepcopy(network).eval()(torch.zeros(shape))
