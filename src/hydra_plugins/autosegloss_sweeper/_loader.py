"""The configs of trials, which differ in a few values only: the rest is composed once a process."""

from __future__ import annotations

import copy
import uuid

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

LATE = ("theta=", "hydra.sweep.subdir=")  # what differs: values, no choices of groups
_KEPT = 8

_composed: dict[tuple[str, ...], DictConfig] = {}  # of this process: the loader itself is sent to it with every job


class TrialLoader(ConfigLoaderImpl):
    """Gives what Hydra's loader gives, and for a job that differs from one before in `LATE` values only, sooner."""

    def __init__(self, loader: ConfigLoader):
        super().__init__(loader.get_search_path())
        self._name = uuid.uuid4().hex

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        late = [override for override in sweep_overrides if override.startswith(LATE)]
        early = [override for override in sweep_overrides if not override.startswith(LATE)]
        config = copy.deepcopy(self._base(master_config, early))
        self._apply(late, config)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)  # the same date and time everywhere
        return config

    def _base(self, master_config: DictConfig, early: list[str]) -> DictConfig:
        key = (self._name, *early)
        if key not in _composed:
            while len(_composed) >= _KEPT:
                _composed.pop(next(iter(_composed)))
            _composed[key] = super().load_sweep_config(master_config, early)
        return _composed[key]

    def _apply(self, late: list[str], config: DictConfig) -> None:
        overrides = OverridesParser.create(config_loader=self).parse_overrides(late)
        self._apply_overrides_to_config(overrides, config)
        for override in overrides:
            own = config.hydra.overrides
            (own.hydra if override.is_hydra_override() else own.task).append(override.input_line)
        dirname = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=OverridesParser.create(config_loader=self).parse_overrides(list(config.hydra.overrides.task)),
            kv_sep=dirname.kv_sep,
            item_sep=dirname.item_sep,
            exclude_keys=dirname.exclude_keys,
        )
