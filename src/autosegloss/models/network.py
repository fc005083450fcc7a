"""Networks of segmentation-models-pytorch, with a clear word where their weights cannot be had."""

from __future__ import annotations

from collections.abc import Callable

from segmentation_models_pytorch.encoders import get_encoder_names
from torch import nn

from autosegloss.errors import InputError, unknown


def build_network(
    architecture: Callable[..., nn.Module], classes: int, encoder_weights: str | None, **options
) -> nn.Module:
    """A network with `classes` output channels: images (N, 3, H, W) -> logits (N, C, H, W).

    Raises InputError for an unknown encoder, and if its pretrained weights cannot be fetched.
    """
    try:
        return architecture(classes=classes, encoder_weights=encoder_weights, **options)
    except KeyError as error:  # how segmentation-models-pytorch says that it does not know a name
        name = options.get("encoder_name")
        if name not in (known := get_encoder_names()):
            raise unknown("encoder", name, known) from error
        raise InputError(f"encoder {name} has no weights '{encoder_weights}': {error.args[0]}") from error
    except (OSError, RuntimeError, ValueError) as error:
        if encoder_weights is None:
            raise
        raise InputError(
            f"the encoder weights '{encoder_weights}' of {options.get('encoder_name')} cannot be had "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}); check the "
            "network connection, or train from scratch with network.encoder_weights=null"
        ) from error
