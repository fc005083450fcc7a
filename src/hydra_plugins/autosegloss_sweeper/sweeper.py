"""The sweeper that Hydra finds: a shell around the search, free of torch until a search begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from .config import SweeperConf


class AutoSegLossSweeper(Sweeper):
    """Searches theta for the metric of the config, one training a trial, through any Hydra launcher."""

    def __init__(self, **settings: Any):
        self.settings = SweeperConf(**settings)
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.launcher = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Search; returns where the results are, the found theta and its score."""
        self._check(arguments)
        directory = Path(self.config.hydra.sweep.dir).absolute()
        self._make(directory)
        from autosegloss.cli import mistakes_in_one_line

        from ._loop import Search

        with mistakes_in_one_line():
            cfg = self.hydra_context.config_loader.load_sweep_config(self.config, arguments)
            search = Search(self.settings, self.launcher, cfg, arguments, directory)
            # A mistake in what comes after hours of trials is told before them.
            self.validate_batch_is_legal([[*arguments, *overrides] for overrides in search.jobs_around().values()])
            return search.run()

    def _check(self, arguments: list[str]) -> None:
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        for override in parser.parse_overrides(arguments):
            if override.is_sweep_override():
                raise CompactHydraException(
                    f"a search takes one value for each key, got {override.input_line}: start one search per value"
                )
            if override.get_key_element() == "theta":
                raise CompactHydraException(
                    f"theta is what the search finds, got {override.input_line}: "
                    "to train with a theta of your own, use hydra.mode=RUN"
                )

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self.config, directory / "multirun.yaml")
        except OSError as error:
            raise CompactHydraException(
                f"the output folder {directory} cannot be written ({error.strerror}): "
                "choose one with hydra.sweep.dir=DIR"
            ) from None
