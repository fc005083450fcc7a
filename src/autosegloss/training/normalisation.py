"""How images are normalised for a network: batches are normalised as for ImageNet, some encoders expect another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from autosegloss.data.transforms import MEAN, STD
from autosegloss.errors import InputError, is_number
from autosegloss.training.hub import hub_within_seconds

SCALE, SHIFT = "input_scale", "input_shift"  # buffers of a network that expects another normalisation than ImageNet's
BUFFERS = {SCALE, SHIFT}


@dataclass(frozen=True)
class Normalisation:
    """Means and deviations of red, green and blue on the scale 0..255.

    Raises:
        InputError: unless both are three numbers, the deviations above 0.
    """

    mean: Sequence[float] = tuple(MEAN.flatten().tolist())
    std: Sequence[float] = tuple(STD.flatten().tolist())

    def __post_init__(self) -> None:
        for numbers in (self.mean, self.std):
            if not (isinstance(numbers, Sequence) and len(numbers) == 3 and all(map(is_number, numbers))):
                raise InputError(f"network.normalisation: expected three numbers of mean and of std, got {numbers!r}")
        if min(self.std) <= 0:
            raise InputError(f"network.normalisation: std must be above 0, got {list(self.std)}")

    def is_imagenets(self) -> bool:
        """Whether batches are normalised so already; a thousandth of a grey value does not count."""
        other = Normalisation()
        pairs = zip((*self.mean, *self.std), (*other.mean, *other.std), strict=True)
        return all(abs(one - two) < 1e-3 for one, two in pairs)


def renormalise(network: nn.Module, normalisation: Normalisation, bands: int) -> None:
    """Let the network take batches of `bands` bands, and see their images as `normalisation` says.

    Two buffers, input_scale and input_shift, become part of the network's weights, so that weights keep the
    normalisation that they were trained with. ImageNet's changes nothing. Bands of another number than three take the
    averages, as in a batch.
    """
    if normalisation.is_imagenets():
        return
    mean, std = (_of_bands(torch.tensor(part), bands) for part in (normalisation.mean, normalisation.std))
    own_mean, own_std = _of_bands(MEAN, bands), _of_bands(STD, bands)
    _set(network, (own_std / std).float(), ((own_mean - mean) / std).float())


def follow_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Let the network see images as the one that `state` was saved from."""
    if state.keys() >= BUFFERS:
        _set(network, state[SCALE].clone(), state[SHIFT].clone())
    elif hasattr(network, SCALE):
        delattr(network, SCALE)
        delattr(network, SHIFT)


def saved_normalisation(state: Mapping[str, Tensor]) -> Normalisation | None:
    """The normalisation that the weights of a network keep; None if they keep none, as with ImageNet's."""
    kept = {name.rpartition(".")[2]: part.double() for name, part in state.items()}
    if not kept.keys() >= BUFFERS:
        return None
    bands = len(kept[SCALE])
    std = _of_bands(STD, bands) / kept[SCALE]
    mean = _of_bands(MEAN, bands) - kept[SHIFT] * std
    return Normalisation(*(part[[0, 1, 2] if bands == 3 else [0, 0, 0]].flatten().tolist() for part in (mean, std)))


def _set(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
    if not hasattr(network, SCALE):
        network.register_forward_pre_hook(_renormalised)  # a wrapper would change the names of the weights
    network.register_buffer(SCALE, scale)
    network.register_buffer(SHIFT, shift)


def _renormalised(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs of `network` as its forward expects them."""
    images, *others = inputs
    if hasattr(network, SCALE):
        images = images * network.get_buffer(SCALE) + network.get_buffer(SHIFT)
    return images, *others


def _of_bands(numbers: Tensor, bands: int) -> Tensor:
    """Numbers of red, green and blue as (B, 1, 1): their average, unless there are three bands."""
    numbers = numbers.double().view(3, 1, 1)
    return numbers if bands == 3 else numbers.mean().expand(bands, 1, 1)


def encoder_normalisation(encoder: str, weights: str | None) -> Normalisation | None:
    """How the pretrained weights of an encoder expect images; None if that cannot be known.

    Args:
        encoder: a name of segmentation-models-pytorch, or of timm.
        weights: their name; None means those of ImageNet.

    Raises:
        InputError: they expect blue before red.
    """
    settings = _settings(encoder, weights or "imagenet")
    if "mean" not in settings or "std" not in settings:
        return None
    if settings.get("input_space", "RGB") != "RGB":
        raise InputError(f"encoder {encoder} expects {settings['input_space']}, images are RGB: choose another encoder")
    top = float((settings.get("input_range") or (0, 1))[1])
    return Normalisation(*(tuple(255 / top * float(n) for n in settings[part]) for part in ("mean", "std")))


def _settings(encoder: str, weights: str) -> Mapping[str, Any]:
    """The settings of preprocessing; {} if there are none, or the host of the weights does not answer."""
    name = encoder.removeprefix("tu-")
    if smp.encoders.is_equivalent_to_timm_universal(name):
        name = name.replace("timm-mobilenetv3", "tf_mobilenetv3").removeprefix("timm-")
    if name in smp.encoders.encoders and not encoder.startswith("tu-"):
        try:
            with hub_within_seconds():
                return smp.encoders.get_preprocessing_params(name, weights)
        except (KeyError, ValueError, OSError):  # settings without a mean; no such weights; no host
            pass  # timm has many networks of the same name, and weights of the same origin
    name = name.removeprefix("timm-")
    known = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    return known.to_dict() if known else {}
