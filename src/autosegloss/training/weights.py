"""Weights from files: whose they are, and how they fit a network."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from os import stat
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from autosegloss.errors import InputError
from autosegloss.training.normalisation import BUFFERS, follow_weights

State = Mapping[str, Tensor]
WEIGHTS = "network.weights"  # the setting of a file to begin with
ENCODERS = ("encoder", "backbone")  # the submodules of a network that pretrained weights are for
_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "ema")  # keys that files keep a state under
_SHOWN = 3


class Fitted(NamedTuple):
    """The tensors of a file that fit a network, by the network's names.

    found: those of the right shape. others: the names of the network that lack a tensor or have one of another shape.
    unused: the names of the file that the network has no place for. encoder: how many names of the encoder are
    found, and how many it has.
    """

    found: dict[str, Tensor]
    others: list[str]
    unused: list[str]
    encoder: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether the file has tensors for more than the encoder."""
        return len(self.found) > self.encoder[0]

    def describe(self) -> str:
        """One line: counts, and the first names that are missing or unused."""
        found, total = self.encoder
        rest = len(self.found) - found, len(self.found) + len(self.others) - total
        within = [name for name in self.others if name.split(".")[0] in ENCODERS]
        missing = self.others if self.whole else within
        told = [
            f"{found} of {total} tensors of the encoder" if total else "",
            f"{rest[0]} of {rest[1]} {'of the rest' if total else 'tensors'}" if self.whole else "",
            f"drawn at random: {_names(missing)}" if missing else "",
            "" if self.whole else "the rest is drawn at random",
            f"the file's {_names(self.unused)} not used" if self.unused else "",
        ]
        return "; ".join(filter(None, told))


def load_pretrained(network: nn.Module, path: str, bands: int) -> Fitted:
    """Load what fits from a file of weights, whatever it was saved from; the rest keeps its random values.

    The file holds a state of timm, torchvision or segmentation-models-pytorch, of an encoder or a whole network, or a
    weights.pt. The first convolution is adapted to `bands` bands.

    Raises:
        InputError: the file holds no weights, or fits less than half of the encoder (of a network without one).
    """
    state = read_state(path, WEIGHTS)
    fit = _fit(network, state, bands)
    found, total = fit.encoder if fit.encoder[1] else (len(fit.found), len(fit.found) + len(fit.others))
    if 2 * found < total:
        raise InputError(
            f"{WEIGHTS}={path} is of another network: {found} of {total} tensors fit; the file has "
            f"{_names(sorted(state))}, the network {_names(fit.others)}"
        )
    with torch.no_grad():
        target = network.state_dict()
        for name, tensor in fit.found.items():
            target[name].copy_(tensor)
    return fit


def load_exactly(network: nn.Module, state: State, name: str) -> None:
    """Load the state of a network of the same config, and see images as that did; `name` says whose it is in errors.

    Raises:
        InputError: a tensor is missing, left over or of another shape.
    """
    follow_weights(network, state)
    try:
        network.load_state_dict(dict(state))
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{name} cannot be loaded into this network: {reason}") from error


def read_state(path: str, setting: str) -> State:
    """The tensors of a file by name; `setting` is the one that gave its path.

    Raises:
        InputError: there is no such file, or it holds no tensors by name.
    """
    try:
        return _read(path, stat(path).st_mtime_ns)
    except (OSError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{setting}={path} cannot be loaded: {reason}") from error


@lru_cache(maxsize=2)  # all trials of a search begin with the same weights: network.weights, init_weights
def _read(path: str, written: int) -> State:
    """The tensors of a file; `written`, the time of its last change, is part of the cache's key."""
    if path.endswith(".safetensors"):
        return load_file(path)
    return _unwrapped(torch.load(path, map_location="cpu", weights_only=True))


def _unwrapped(content: Any) -> State:
    """The tensors of a state, or of the state that a file keeps under another name."""
    if isinstance(content, Mapping):
        for name in _WRAPPERS:
            if isinstance(content.get(name), Mapping):
                return _unwrapped(content[name])
        tensors = {name: part for name, part in content.items() if isinstance(part, Tensor)}
        if tensors:
            return tensors
    raise ValueError(f"expected tensors by name, as of network.state_dict(), got {type(content).__name__}")


def _fit(network: nn.Module, state: State, bands: int) -> Fitted:
    """The best fit over all prefixes that may be taken from the names of the file, and put before them."""
    own = network.state_dict()
    places = {_plain(name): name for name in own}
    pairs = [(old, new) for old in _prefixes(state) for new in _prefixes(own)]
    best = max(pairs, key=lambda pair: sum(name in places for name in _renamed(state, *pair).values()))
    renamed = _renamed(state, *best)
    chosen = {name: places[new] for name, new in renamed.items() if new in places}
    adapted = {place: _adapted(state[name], own[place], bands) for name, place in chosen.items()}
    found = {place: tensor for place, tensor in adapted.items() if tensor.shape == own[place].shape}
    encoder = [name for name in own if name.split(".")[0] in ENCODERS]
    return Fitted(
        found,
        others=[name for name in own if name not in found],
        unused=[name for name in state if name not in chosen and name.rpartition(".")[2] not in BUFFERS],
        encoder=(sum(name in found for name in encoder), len(encoder)),
    )


def _plain(name: str) -> str:
    """A name with dots alone: where timm gives features only, its `stages.0` are called `stages_0`."""
    return name.replace("_", ".")


def _prefixes(names: Iterable[str]) -> list[str]:
    """What the names begin with, up to three parts, the shortest first; "" is one of them."""
    parts = [_plain(name).split(".")[:-1] for name in names]
    heads = {tuple(each[:count]) for each in parts for count in range(1, 4) if len(each) >= count}
    common = [head for head in heads if 2 * sum(tuple(each[: len(head)]) == head for each in parts) >= len(parts)]
    return ["", *(".".join(head) + "." for head in sorted({*common, *_encoders(heads)}, key=len))]


def _encoders(heads: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    return [tuple(head) for head in heads if head[0] in ENCODERS and (len(head) == 1 or head[1] == "model")]


def _renamed(state: State, old: str, new: str) -> dict[str, str]:
    """The plain names of a state with the prefix `new` in the place of `old`; names without `old` are left out."""
    return {name: new + plain.removeprefix(old) for name in state if (plain := _plain(name)).startswith(old)}


def _adapted(tensor: Tensor, place: Tensor, bands: int) -> Tensor:
    """The weights of a first convolution for `bands` bands, by the rule of timm; any other tensor as it is."""
    first = tensor.ndim == 4 and place.ndim == 4 and tensor.shape[1] == 3 and place.shape[1] == bands != 3
    return adapt_input_conv(bands, tensor.float()) if first else tensor


def _names(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
