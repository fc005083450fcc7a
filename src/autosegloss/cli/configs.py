"""The configuration that comes with the library, and one of the user's own beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autosegloss.files import config_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose_training(overrides: Sequence[str], own: str | None = None) -> DictConfig:
    """The settings of a training with overrides in Hydra's grammar.

    Args:
        overrides: as data=voc.
        own: a folder with configs of the user, as --config-dir.

    Raises:
        InputError: no part of the program reads a key.
        HydraException, OmegaConfBaseException: an override is wrong.
    """
    from hydra import compose, initialize_config_dir

    from autosegloss.training.keys import check_keys

    search = [f"hydra.searchpath=['file://{Path(own).absolute()}']"] if own else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("train", [*search, *overrides])
    check_keys(cfg)
    return cfg


def groups(own: Sequence[str] = ()) -> Mapping[str, list[str]]:
    """{group: its choices} of the configuration and of folders of the user's own."""
    choices: dict[str, set[str]] = {}
    for root in (config_folder(), *map(Path, own)):
        for path in root.rglob("*.yaml"):
            if path.parent != root:
                choices.setdefault(path.parent.relative_to(root).as_posix(), set()).add(path.stem)
    return {group: sorted(names) for group, names in sorted(choices.items())}
