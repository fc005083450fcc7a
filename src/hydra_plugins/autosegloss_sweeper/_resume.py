"""The configuration of a resumed search: what it was started with, and the overrides given now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from autosegloss.cli.overrides import key_of

from ._state import State


def resumed_config(config: DictConfig, loader: ConfigLoader, modes: Sequence[str]) -> DictConfig:
    """The configuration of the search in the folder `config.resume`; overrides given now replace its own.

    Args:
        config: The configuration of this program.
        loader: Hydra's loader.
        modes: The keys that say what to do with a search, which are not part of it.

    Raises:
        InputError: The folder does not hold a search.
        CompactHydraException: The overrides contradict the folder or the search.
    """
    folder = Path(str(config.resume))
    state = State.load(folder)
    overrides = config.hydra.overrides
    given = {key_of(override): override for override in (*overrides.hydra, *overrides.task)}
    if "hydra.sweep.dir" in given and Path(config.hydra.sweep.dir).resolve() != folder.resolve():
        raise CompactHydraException(
            f"resume={folder} names the folder of the search, got {given['hydra.sweep.dir']} as well: leave it out"
        )
    merged = {**_started(state.overrides, given), **given}
    merged.pop("hydra.sweep.dir", None)  # `resume` names the folder, also from another working directory
    try:
        return loader.load_configuration(
            config_name=config.hydra.job.config_name, overrides=list(merged.values()), run_mode=RunMode.MULTIRUN
        )
    except HydraException as error:
        typed = [override for key, override in given.items() if key not in modes]
        raise CompactHydraException(
            f"resume={folder}: the search was started with other settings, which do not go together with "
            f"{' '.join(typed) or 'the configuration as it is'} ({' '.join(str(error).split())}): leave these out"
        ) from None


def _started(overrides: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """{key: override} of the search's own overrides, without the options of a launcher that is replaced now."""
    started = {key_of(override): override for override in overrides}
    launcher = started.get("hydra/launcher")
    if given.get("hydra/launcher", launcher) == launcher:
        return started
    return {key: override for key, override in started.items() if not key.startswith("hydra.launcher.")}
