"""Networks by their configuration; one line says why a network or its weights cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from segmentation_models_pytorch.encoders import get_encoder_names
from torch import nn

from autosegloss.errors import InputError, unknown
from autosegloss.training.hub import hub_within_seconds


def build_network(
    architecture: Callable[..., nn.Module], classes: int, encoder_weights: str | None, bands: int = 3, **options: Any
) -> nn.Module:
    """Make a network with `classes` output channels: images (N, B, H, W) -> logits (N, C, H, W).

    architecture: takes `classes`, `encoder_weights`, `options` and, for another B than 3, `in_channels`.
    encoder_weights: name of pretrained weights, which are adapted to B bands; None draws them at random. bands: B.
    Raises InputError for an unknown encoder or option, if the weights cannot be fetched, and if the network takes
    images of three bands only.
    """
    if options.setdefault("in_channels", bands) != bands:
        raise InputError(f"network.in_channels={options['in_channels']}, but images have {bands} bands: leave it out")
    if bands == 3:
        del options["in_channels"]  # networks need not know of it
    try:
        with hub_within_seconds() if encoder_weights else nullcontext():
            return architecture(classes=classes, encoder_weights=encoder_weights, **options)
    except InputError:
        raise
    except Exception as error:
        if encoder_weights and (isinstance(error, OSError) or _can_be_made(architecture, classes, options)):
            raise _without_weights(error, encoder_weights, options.get("encoder_name")) from error
        if mistake := _mistake(error, options):
            raise mistake from error
        raise


def _without_weights(error: Exception, weights: str, encoder: str | None) -> InputError:
    if isinstance(error, KeyError):  # segmentation-models-pytorch raises it for an unknown name
        return InputError(f"encoder {encoder} has no weights '{weights}': {error.args[0]}")
    return InputError(
        f"the encoder weights '{weights}' of {encoder} cannot be had ({_reason(error)}); check the "
        "network connection, or train from scratch with network.encoder_weights=null"
    )


def _can_be_made(architecture: Callable[..., nn.Module], classes: int, options: dict) -> bool:
    """Whether the network can be made without pretrained weights, on the meta device, which needs no memory."""
    try:
        with torch.device("meta"):
            architecture(classes=classes, encoder_weights=None, **options)
    except Exception:  # then the weights are not at fault, and the caller reports the first error
        return False
    return True


def _mistake(error: Exception, options: dict) -> InputError | None:
    """The error for wrong options of a network; None if `error` has another cause."""
    name = options.get("encoder_name")
    if isinstance(error, TypeError) and "in_channels" in str(error):
        return InputError(
            f"the network takes images of 3 bands only, the data have {options['in_channels']}: choose 3 with "
            "data.source.bands=[0,1,2], or give the network an argument in_channels"
        )
    if isinstance(error, KeyError) and name not in (known := get_encoder_names()):
        return unknown("encoder", name, known)
    if isinstance(error, KeyError | TypeError | ValueError) or "Unknown model" in str(error):  # timm's RuntimeError
        return InputError(f"network: {_reason(error)}")
    return None


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
