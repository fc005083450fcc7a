"""The keys of a configuration that a part of the program reads; any other is a mistake that no run may hide."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import cache
from typing import Any

import yaml
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from autosegloss.errors import InputError
from autosegloss.files import config_folder

NEAREST = 3  # keys that a message names
_ALIKE = 0.7  # of 1, from which on two keys resemble each other
_HYDRA = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
# By the training, not by the `_target_`.
_READ_BESIDE = {"optimizer": {"head_multiplier", "min_lr"}, "network": {"weights", "normalisation"}, "loss": {"scale"}}
_SET_BY_THE_PROGRAM = {
    "auxiliary.classes": "data.source.classes",
    "auxiliary.widths": "network",
    "data.device": "trainer.accelerator",
    "loss.ignore_index": "data.source.ignore_index",
    "network.classes": "data.source.classes",
    "optimizer.params": "network",
    "schedule.optimizer": "optimizer",
    "schedule.steps": "trainer.max_steps",
    "trainer.default_root_dir": "hydra.run.dir",
}
_REFERENCE = re.compile(r"\$\{(?:[\w.]+:)?\.*([A-Za-z_]\w*)")


def check_keys(cfg: DictConfig) -> None:
    """Refuse keys that no part of the program reads, and keys that the program sets itself.

    Read are the keys of the shipped train.yaml and search.yaml, at the top those that another value refers to, and
    below a `_target_` the arguments of the object that it names.

    Args:
        cfg: the configuration of a run as it was composed.

    Raises:
        InputError: names the first such key, and the nearest ones.
    """
    for key, remedy in _SET_BY_THE_PROGRAM.items():
        if OmegaConf.select(cfg, key, throw_on_missing=False) is not None:
            raise InputError(f"{key} is set by the program, a value given for it would be lost: set {remedy} instead")
    for key in _unread(cfg):
        raise unknown_key(key, cfg)


def unknown_key(key: str, cfg: DictConfig) -> InputError:
    """The error for a key that `cfg` does not have, or that no part of the program reads.

    Args:
        key: the key with dots.
        cfg: the whole configuration.
    """
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent, throw_on_missing=False) if parent else cfg
    arguments = _arguments(node) or () if isinstance(node, DictConfig) else ()
    if name in arguments and name not in node:
        return InputError(
            f"{key} is not in the configuration, but {node['_target_']} takes it: add it with +{key}=VALUE"
        )
    known = [*_keys(cfg, hydra=key.startswith("hydra")), *(f"{parent}.{argument}" for argument in arguments)]
    apart = (other for other in known if not _is_part(key, other) and not _is_part(other, key))
    nearest = _nearest(key, (other for other in apart if other not in _SET_BY_THE_PROGRAM))
    return InputError(
        f"unknown key '{key}': "
        + (f"nearest {'is' if len(nearest) == 1 else 'are'} {', '.join(nearest)}; " if nearest else "")
        + "--cfg job prints all"
    )


def references(cfg: DictConfig) -> set[str]:
    """The names that values of `cfg` refer to: {"seed"} for `${seed}`."""
    return set(_REFERENCE.findall(OmegaConf.to_yaml(cfg)))


def _unread(cfg: DictConfig) -> Iterator[str]:
    known = shipped_keys("train") | shipped_keys("search") | {"hydra"}
    if unread := [str(key) for key in cfg if key not in known]:
        referred = references(cfg)
        yield from (key for key in unread if key not in referred)
    for mapping, names in _shipped_mappings().items():
        if isinstance(node := cfg.get(mapping), DictConfig):
            yield from (f"{mapping}.{name}" for name in map(str, node) if name not in names)
    for key in cfg:
        if key != "hydra":
            yield from _unread_below(cfg, key, str(key))


def _unread_below(parent: DictConfig | ListConfig, key: Any, path: str) -> Iterator[str]:
    """The keys below `parent[key]` that the object there does not take."""
    if OmegaConf.is_interpolation(parent, key) or OmegaConf.is_missing(parent, key):
        return
    node = parent[key]
    if isinstance(node, DictConfig) and (arguments := _arguments(node)) is not None:
        known = {*arguments, *_HYDRA, *_READ_BESIDE.get(path, ())}
        yield from (f"{path}.{name}" for name in map(str, node) if name not in known)
    if isinstance(node, DictConfig | ListConfig):
        for name in node if isinstance(node, DictConfig) else range(len(node)):
            yield from _unread_below(node, name, f"{path}.{name!s}")


def _arguments(node: DictConfig) -> set[str] | None:
    """The arguments of the object that `node` makes; None if it takes any, makes none, or cannot be found."""
    if not isinstance(target := node.get("_target_"), str):
        return None
    try:
        parameters = inspect.signature(get_object(target)).parameters.values()
    except Exception:  # making it meets the same error, and reports it
        return None
    free = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    return None if free else {parameter.name for parameter in parameters}


@cache
def _shipped_mappings() -> dict[str, frozenset[str]]:
    """The mappings at the top of the shipped configuration that make no object, with their keys."""
    base = yaml.safe_load((config_folder() / "base.yaml").read_text())
    groups = {group for entry in base["defaults"] if isinstance(entry, dict) for group in entry}
    return {
        key: frozenset(value)
        for key, value in base.items()
        if isinstance(value, dict) and key not in {*groups, "hydra"}
    }


@cache
def shipped_keys(program: str) -> frozenset[str]:
    """The keys at the top of the configuration that ships for `train` or `search`; groups have a key there, too."""
    folder = config_folder()
    base, own = (yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in ("base", program))
    chosen = {group: name for entry in base["defaults"] if isinstance(entry, dict) for group, name in entry.items()}
    files = {group: folder / group / f"{name}.yaml" for group, name in chosen.items()}
    groups = {group for group, path in files.items() if path.exists() and "@package" not in path.read_text()}
    return frozenset(groups.union(base, own) - {"defaults"})


def _keys(node: DictConfig, hydra: bool, path: str = "") -> Iterator[str]:
    """The keys of a configuration with dots; with `hydra` those of Hydra as well."""
    for name in map(str, node):
        if name.startswith("_") or (name == "hydra" and not path and not hydra):
            continue
        yield f"{path}{name}"
        own = not OmegaConf.is_interpolation(node, name) and not OmegaConf.is_missing(node, name)
        if own and isinstance(child := node[name], DictConfig):
            yield from _keys(child, hydra, f"{path}{name}.")


def _is_part(key: str, other: str) -> bool:
    """Whether `other` is `key`, or lies below it."""
    return f"{other}.".startswith(f"{key}.")


def _nearest(key: str, known: Iterable[str]) -> list[str]:
    """The keys that resemble `key`, as a whole or in their last part: those beside it first, then the nearest."""
    parent, _, name = key.rpartition(".")

    def likeness(other: str) -> float:
        whole, last = SequenceMatcher(None, key, other).ratio(), other.rpartition(".")[2]
        return max(whole, SequenceMatcher(None, name, last).ratio() + whole / 100, _abbreviates(last, name))

    def order(other: str) -> tuple[bool, float]:
        return not parent or other.rpartition(".")[0] == parent, likeness(other)

    alike = (other for other in dict.fromkeys(known) if likeness(other) >= _ALIKE)
    return sorted(alike, key=order, reverse=True)[:NEAREST]


def _abbreviates(short: str, name: str) -> bool:
    """Whether `short` is made of the first letters of the words of `name`, as lr of learning_rate."""
    return len(short) > 1 and short == "".join(word[:1] for word in name.split("_"))
