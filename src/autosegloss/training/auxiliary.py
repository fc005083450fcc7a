"""The auxiliary head: a second prediction, from an earlier map of the encoder, which helps the encoder to learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autosegloss.errors import InputError, is_number, is_whole, whole_number
from autosegloss.training.weights import ENCODERS

NAME = "auxiliary_head"
"""The part of a network that it is, and what the names of its weights begin with."""


class FCNHead(nn.Module):
    """Maps (N, D, h, w) of an encoder -> logits (N, C, h, w), by a 3x3 and a 1x1 convolution, in trainings alone.

    loss = loss(logits) + weight * loss(auxiliary logits)

    The network has it as `auxiliary_head`: it watches the encoder, so that a training step finds in `take` what the
    step before has shown it.

    Args:
        widths: the channels of the maps of the encoder.
        classes: C.
        weight: of its loss, 0 or more.
        feature: the place of its map among those of the encoder; negative counts from the last.
        channels: between the two convolutions.
        dropout: the share of them that a step leaves out, below 1.
        head_multiplier: of the learning rate; None is that of the rest of the head.

    Raises:
        InputError: the encoder has no such map, or an option is out of range.

    Source: `FCNHead` of mmsegmentation, as the release of the paper configures it; the auxiliary loss: Zhao et al.,
    "Pyramid Scene Parsing Network", CVPR 2017, arXiv 1612.01105, section 3.3.
    """

    def __init__(
        self,
        widths: Sequence[int],
        classes: int,
        weight: float = 0.4,
        feature: int = -2,
        channels: int = 256,
        dropout: float = 0.1,
        head_multiplier: float | None = None,
    ):
        super().__init__()
        self.weight, self.feature = _least_0("weight", weight), feature
        places = range(-len(widths), len(widths))
        if not is_whole(feature, least=-len(widths)) or feature not in places or not widths[feature]:
            raise InputError(
                f"auxiliary.feature: expected a map of the encoder, an integer from {places[0]} to {places[-1]}, whose "
                f"channels are {list(widths)}, got {feature!r}"
            )
        self.multiplier = None if head_multiplier is None else _least_0("head_multiplier", head_multiplier)
        width = whole_number("auxiliary.channels", channels, least=1)
        if not 0 <= _least_0("dropout", dropout) < 1:
            raise InputError(f"auxiliary.dropout must be below 1, got {dropout!r}")
        self.convolution = nn.Conv2d(widths[feature], width, kernel_size=3, padding=1, bias=False)
        self.normalisation, self.dropout = nn.BatchNorm2d(width), nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        assert self.classifier.bias is not None  # it has one by default
        nn.init.zeros_(self.classifier.bias)
        self._seen: Tensor | None = None

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.normalisation(self.convolution(maps)).relu()
        return self.classifier(self.dropout(hidden))

    def watch(self, encoder: nn.Module, inputs: Any, output: Any) -> None:
        """Keep the map of a step of a training; a hook of the encoder."""
        if self.training:
            self._seen = _maps(output)[self.feature]

    def take(self) -> Tensor:
        """The logits (N, C, h, w) of the batch that the network has just seen."""
        seen, self._seen = self._seen, None
        assert seen is not None  # after a step of a training
        return self(seen)

    def __getstate__(self) -> dict[str, Any]:
        """Without the map, which cannot be copied."""
        return {**self.__dict__, "_seen": None}


def add_auxiliary(network: nn.Module, make: Callable[..., FCNHead], classes: int) -> None:
    """Give a network an auxiliary head; its own weights, and all that is drawn after, are as without.

    Args:
        network: any whose `encoder` or `backbone` gives several maps and says how many channels each has.
        make: `FCNHead` with its options, called with widths and classes.
        classes: C.

    Raises:
        InputError: the network has no such encoder, or the head cannot be made.
    """
    encoder = next((part for name, part in network.named_children() if name in ENCODERS), None)
    widths = [] if encoder is None else _widths(encoder)
    if encoder is None or len(widths) < 2:
        raise InputError(
            "auxiliary: expected a network with an `encoder` of several maps and their `out_channels`, as those of "
            f"segmentation-models-pytorch; {type(network).__name__} has none: leave auxiliary out"
        )
    with torch.random.fork_rng(devices=[]):
        head = make(widths=widths, classes=classes)
    network.add_module(NAME, head)
    encoder.register_forward_hook(head.watch)


def auxiliary_of(network: nn.Module) -> FCNHead | None:
    """The auxiliary head of a network, if it has one."""
    head = dict(network.named_children()).get(NAME)
    return head if isinstance(head, FCNHead) else None


def without_auxiliary(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network but those of its auxiliary head."""
    return {name: part for name, part in state.items() if not name.startswith(f"{NAME}.")}


def _widths(encoder: nn.Module) -> Sequence[int]:
    """The channels of the maps of an encoder of segmentation-models-pytorch, of timm, or of one like them."""
    if (info := getattr(encoder, "feature_info", None)) is not None:
        return info.channels()
    given = getattr(encoder, "out_channels", ())
    return list(given) if isinstance(given, Sequence) else []


def _maps(output: Any) -> Sequence[Tensor]:
    """The maps of an encoder; those of transformers come with tokens."""
    if isinstance(output, Mapping):
        return list(output.values())
    return output[0] if isinstance(output[0], Sequence) else output


def _least_0(name: str, value: float) -> float:
    if not is_number(value) or value < 0:
        raise InputError(f"auxiliary.{name} must be a number of 0 or more, got {value!r}")
    return value
