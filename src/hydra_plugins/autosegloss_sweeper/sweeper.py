"""The sweeper that Hydra finds: a shell around the search, free of torch until a search begins."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from .config import SweeperConf


class AutoSegLossSweeper(BasicSweeper):
    """Searches theta for the metric of the config, one training a trial, through any Hydra launcher.

    Without a strategy it is Hydra's own sweeper: a run for each combination of values.
    """

    def __init__(self, **settings: Any):
        self.settings = SweeperConf(**settings)
        super().__init__(self.settings.max_batch_size, self.settings.params)
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.task_function = task_function
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Search, or continue a search; returns where the results are, the found theta and its score."""
        if OmegaConf.select(self.config, "resume"):
            return self._as_started()._search()
        return self._search() if self.settings.strategy is not None else super().sweep(arguments)

    def _search(self) -> dict[str, Any]:
        arguments = [a for a in self.config.hydra.overrides.task if _key(a) not in ("resume", "dry_run")]
        self._check(arguments)
        directory = Path(self.config.hydra.sweep.dir).absolute()
        fresh = not directory.exists()
        self._make(directory)
        from autosegloss.cli import mistakes_in_one_line
        from autosegloss.processes import Ownership

        from ._state import State

        try:
            with mistakes_in_one_line(), Ownership(directory):
                return self._run(directory, arguments)
        finally:
            if fresh and not State.exists(directory):  # nothing but a mistake, or a dry run
                shutil.rmtree(directory)

    def _run(self, directory: Path, arguments: list[str]) -> dict[str, Any]:
        from ._dry_run import dry_run
        from ._loop import Search

        def compose(overrides: Sequence[str] = ()) -> DictConfig:
            return self.hydra_context.config_loader.load_sweep_config(self.config, [*arguments, *overrides])

        cfg = compose()
        resumed = bool(OmegaConf.select(self.config, "resume"))
        search = Search(self.settings, self.launcher, cfg, arguments, directory, resumed)
        # A mistake in what comes after hours of trials is told before them.
        self.validate_batch_is_legal([[*arguments, *overrides] for overrides in search.jobs_around().values()])
        if OmegaConf.select(self.config, "dry_run"):
            return dry_run(search, compose)
        if not (directory / "multirun.yaml").exists():
            OmegaConf.save(self.config, directory / "multirun.yaml")
        return search.run()

    def _as_started(self) -> AutoSegLossSweeper:
        """The sweeper of the search in the folder to resume: its own arguments, and what was given in addition."""
        from autosegloss.cli import mistakes_in_one_line

        from ._state import State

        with mistakes_in_one_line():
            state = State.load(Path(self.config.resume))
        own = self.config.hydra.overrides
        given = {_key(override): override for override in [*own.hydra, *own.task]}
        started = {_key(override): override for override in state.overrides}
        started.pop("hydra.sweep.dir", None)  # resume names the folder, from wherever it is called
        config = self.hydra_context.config_loader.load_configuration(
            config_name=self.config.hydra.job.config_name,
            overrides=list({**started, **given}.values()),
            run_mode=RunMode.MULTIRUN,
        )
        return Plugins.instance().instantiate_sweeper(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )

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
        except OSError as error:
            raise CompactHydraException(
                f"the output folder {directory} cannot be written ({error.strerror}): "
                "choose one with hydra.sweep.dir=DIR"
            ) from None


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
