"""The configuration that comes with the library, and one of the user's own beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig


def config_folder() -> Path:
    """The folder of the configuration: autosegloss/conf of an installed wheel, or conf/ of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def compose_training(overrides: Sequence[str], own: str | None = None) -> DictConfig:
    """The settings of a training with overrides in Hydra's grammar.

    Args:
        overrides: as data=voc.
        own: a folder with configs of the user, as --config-dir.

    Raises:
        HydraException, OmegaConfBaseException: an override is wrong.
    """
    from hydra import compose, initialize_config_dir

    search = [f"hydra.searchpath=['file://{Path(own).absolute()}']"] if own else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", [*search, *overrides])


def groups(own: Sequence[str] = ()) -> Mapping[str, list[str]]:
    """{group: its choices} of the configuration and of folders of the user's own."""
    choices: dict[str, set[str]] = {}
    for root in (config_folder(), *map(Path, own)):
        for path in root.rglob("*.yaml"):
            if path.parent != root:
                choices.setdefault(path.parent.relative_to(root).as_posix(), set()).add(path.stem)
    return {group: sorted(names) for group, names in sorted(choices.items())}
