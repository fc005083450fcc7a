"""Networks by their configuration; one line says why a network or its weights cannot be had."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING
from segmentation_models_pytorch.encoders import get_encoder_names
from torch import nn

from autosegloss.errors import InputError, unknown
from autosegloss.training.environment import local_rank
from autosegloss.training.hub import hub_within_seconds
from autosegloss.training.normalisation import Normalisation, encoder_normalisation, renormalise, saved_normalisation
from autosegloss.training.weights import WEIGHTS, Fitted, load_pretrained, read_state

_TENSORFLOW = ("timm-efficientnet-", "timm-tf_efficientnet_lite")  # encoders of smp that are built unlike their weights
_CLASSES = ("classes", "num_classes", "num_labels")  # what architectures call the number of classes


def build_network(
    architecture: Callable[..., nn.Module],
    classes: int,
    bands: int = 3,
    weights: str | None = None,
    normalisation: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> nn.Module:
    """Make a network with `classes` output channels: images (N, B, H, W) of a batch -> logits (N, C, H, W).

    architecture: takes `classes` (or num_classes), `options` and, for another B than 3, `in_channels`. bands: B.
    weights: a file to begin with, see `autosegloss.training.weights`. normalisation: "imagenet", "encoder", a mean and
    a std, or None, which takes what fits the weights. Of `options` encoder_weights names pretrained weights, which are
    adapted to B bands; None draws them at random.

    Raises:
        InputError: an encoder, an architecture or an option is unknown, the weights cannot be fetched or are of
            another network, or the network takes images of three bands only.
    """
    name, pretrained = options.get("encoder_name"), options.get("encoder_weights")
    if weights:
        options = {key: None if key == "encoder_weights" else value for key, value in options.items()}
    network = _make(architecture, classes, bands, options)
    network.register_forward_hook(_logits)
    fit = load_pretrained(network, weights, bands) if weights else None
    chosen, doubt = _normalisation(normalisation, name, pretrained, weights, fit)
    renormalise(network, chosen, bands)
    if local_rank() == 0:
        _tell(name, pretrained or weights, fit and f"weights {weights}: {fit.describe()}", doubt)
    return network


def _make(architecture: Callable[..., nn.Module], classes: int, bands: int, options: dict[str, Any]) -> nn.Module:
    options = dict(options)
    if options.setdefault("in_channels", bands) != bands:
        raise InputError(f"network.in_channels={options['in_channels']}, but images have {bands} bands: leave it out")
    if bands == 3:
        del options["in_channels"]  # networks need not know of it
    options[_name_of_classes(architecture)] = classes
    weights = options.get("encoder_weights")
    try:
        with hub_within_seconds() if weights else nullcontext(), _quiet():
            return architecture(**options)
    except InputError:
        raise
    except Exception as error:
        if weights and (isinstance(error, OSError) or _can_be_made(architecture, options)):
            raise _without_weights(error, weights, options.get("encoder_name")) from error
        if mistake := _mistake(error, options):
            raise mistake from error
        raise


def _name_of_classes(architecture: Callable[..., nn.Module]) -> str:
    known = inspect.signature(architecture).parameters
    return next((name for name in _CLASSES if name in known), _CLASSES[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it segmentation-models-pytorch does not warn of the kinds of its encoders, which `_tell` does better."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(For 'tu-'|`timm-` encoders)")
        yield


def _logits(network: nn.Module, inputs: Any, output: Any) -> Any:
    """The logits among several outputs: those of torchvision call them "out", those of transformers "logits"."""
    if not isinstance(output, Mapping):
        return output
    return next((output[name] for name in ("out", "logits") if name in output), output)


def _normalisation(
    setting: str | Mapping[str, Any] | None,
    encoder: str | None,
    pretrained: str | None,
    path: str | None,
    fit: Fitted | None,
) -> tuple[Normalisation, str | None]:
    """The normalisation of a network, and a sentence if it is in doubt."""
    imagenet = Normalisation()
    if isinstance(setting, Mapping):
        if setting.keys() != {"mean", "std"}:
            raise InputError(f"network.normalisation: expected mean and std, got {', '.join(setting) or 'nothing'}")
        return Normalisation(tuple(setting["mean"]), tuple(setting["std"])), None
    if setting not in (None, "imagenet", "encoder"):
        raise unknown("network.normalisation", setting, ["imagenet", "encoder", "{mean: [...], std: [...]}"])
    if setting == "imagenet" or (setting is None and not (pretrained or path)):
        return imagenet, None
    if setting is None and path and (kept := saved_normalisation(read_state(path, WEIGHTS))):
        return kept, None
    own = encoder_normalisation(encoder, pretrained) if encoder else None
    if setting is None and fit and fit.whole:
        differs = own and not own.is_imagenets()
        return imagenet, _UNTOLD.format(path) if differs else None
    unknown_own = f"how {encoder} expects images is not known here: as for ImageNet, unless network.normalisation says"
    return (own, None) if own else (imagenet, unknown_own if encoder else None)


_UNTOLD = (
    "{} does not say how its images were normalised: as for ImageNet, unless network.normalisation=encoder takes that "
    "of the encoder"
)


def _tell(encoder: str | None, weights: str | None, *sentences: str | None) -> None:
    """Print notes on the weights of a network, and on an encoder that spoils them."""
    if encoder and weights and encoder.startswith(_TENSORFLOW):
        better = f"tu-tf_{encoder.removeprefix('timm-').removeprefix('tf_').replace('net-', 'net_')}"
        sentences = (
            *sentences,
            f"encoder {encoder} pads and normalises unlike the network that its weights are of, which spoils its "
            f"features: take network.encoder_name={better}",
        )
    for sentence in filter(None, sentences):
        print(f"note: {sentence}")


def _without_weights(error: Exception, weights: str, encoder: str | None) -> InputError:
    if isinstance(error, KeyError):  # segmentation-models-pytorch raises it for an unknown name
        return InputError(f"encoder {encoder} has no weights '{weights}': {error.args[0]}")
    return InputError(
        f"the encoder weights '{weights}' of {encoder} cannot be had ({_reason(error)}); check the "
        "network connection, or train from scratch with network.encoder_weights=null"
    )


def _can_be_made(architecture: Callable[..., nn.Module], options: dict) -> bool:
    """Whether the network can be made without pretrained weights, on the meta device, which needs no memory."""
    try:
        with torch.device("meta"), _quiet():
            architecture(**{**options, "encoder_weights": None})
    except Exception:  # then the weights are not at fault, and the caller reports the first error
        return False
    return True


def _mistake(error: Exception, options: dict) -> InputError | None:
    """The error for wrong options of a network; None if `error` has another cause."""
    name, arch = options.get("encoder_name"), options.get("arch")
    if isinstance(error, TypeError) and "in_channels" in str(error):
        return InputError(
            f"the network takes images of 3 bands only, the data have {options['in_channels']}: choose 3 with "
            "data.source.bands=[0,1,2], or give the network an argument in_channels"
        )
    if isinstance(error, KeyError) and arch and str(arch).lower() not in MODEL_ARCHITECTURES_MAPPING:
        return unknown("network.arch", arch, MODEL_ARCHITECTURES_MAPPING)
    if isinstance(error, KeyError) and name not in (known := get_encoder_names()):
        return unknown("encoder", name, known)
    if isinstance(error, KeyError | TypeError | ValueError) or "Unknown model" in str(error):  # timm's RuntimeError
        return InputError(f"network: {_reason(error)}")
    return None


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
