"""What was typed on the command line of a training: each setting must reach a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError
from autosegloss.training.keys import references, shipped_keys, unknown_key

_BY_REFERENCE = {  # these reach a run only where another value refers to them
    "theta": "loss=surrogate reads it, other losses bring their own",
    "curve": "loss=surrogate reads it, other losses bring their own",
    "classes": "loss=surrogate and loss=naive read it, other losses bring their own; data.source.classes is a number",
    "data.root": "its data have no such setting",
    "data.download": "its data have no such setting",
}


def check_typed(cfg: DictConfig, keys: Sequence[str], program: str) -> None:
    """Refuse settings of another program, and two lengths of one training.

    Args:
        cfg: the composed configuration.
        keys: the typed keys, without + or ~.
        program: the name of the configuration, as train.

    Raises:
        InputError: names the setting, and the nearest keys.
    """
    others = {"train": "search", "search": "train"}
    foreign = shipped_keys(others[program]) - shipped_keys(program) if program in others else ()
    for key in keys:
        if key in foreign:
            raise unknown_key(key, cfg)
    if {"trainer.max_steps", "trainer.max_epochs"} <= {*keys}:
        raise InputError("trainer.max_steps and trainer.max_epochs both set the length of a training: leave one out")


def check_hydra(overrides: Sequence[str]) -> None:
    """Refuse keys that were added to the configuration of Hydra and that Hydra does not read.

    Args:
        overrides: those of Hydra's own configuration as they were typed.

    Raises:
        InputError: names the first such key, and the nearest ones.
    """
    schema = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    for typed in overrides:
        key = typed.partition("=")[0].lstrip("+~")
        node: Any = schema
        for name in key.split("."):
            if not isinstance(node, DictConfig) or (OmegaConf.get_type(node) in (None, dict) and node is not schema):
                break
            if "/" not in name and name not in node.keys():  # noqa: SIM118  # `in` is false for a missing value
                raise unknown_key(key, schema)
            node = node._get_node(name)


def check_read(cfg: DictConfig, keys: Sequence[str]) -> None:
    """Refuse settings that reach a run by reference only, where none refers to them.

    Runs of a grid, or of a search, share what was typed: there one run may leave unread what another reads.

    Raises:
        InputError: names the setting, and what reads it.
    """
    referred = references(cfg)
    for key in keys:
        for name, readers in _BY_REFERENCE.items():
            if f"{key}.".startswith(f"{name}.") and name.rpartition(".")[2] not in referred:
                raise InputError(f"{key} is read by no part of this run: {readers}")
