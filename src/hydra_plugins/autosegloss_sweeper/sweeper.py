"""The sweeper that Hydra discovers. Hydra imports this module at the start of every program: keep it free of torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException, HydraException, MissingConfigException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from .config import SweeperConf

_MODES = ("resume", "dry_run")  # what to do with a search; not part of its configuration


class AutoSegLossSweeper(Sweeper):
    """Searches theta for the metric of the configuration; each training is a job of the configured Hydra launcher.

    Without a strategy it does what Hydra's basic sweeper does: one job per combination of the given values.
    """

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    launcher: Launcher

    def __init__(self, **settings: Any):
        self.settings = SweeperConf(**settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the context of the program and make the launcher; Hydra calls it before `sweep`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Start or resume a search.

        Returns:
            The path of the found theta card, its score and its label; of a dry run, the estimated seconds; without a
            strategy, the returns of all jobs.

        Raises:
            CompactHydraException: The user's mistake in one line, or the reason why the search cannot go on.
        """
        if self.settings.strategy is None:
            return self._grid(arguments)
        self._check(arguments)
        resumes = any(_key_of(argument) == "resume" for argument in arguments)
        return (self._as_started() if resumes else self)._search()

    def _grid(self, arguments: list[str]) -> Any:
        """Run the jobs of Hydra's basic sweeper."""
        for mode in _MODES:
            if OmegaConf.select(self.config, mode):
                raise CompactHydraException(
                    f"{mode} is for a search, and this sweeper has no strategy, it runs each combination of values: "
                    f"leave out {mode}, or choose a sweeper that searches, e.g. hydra/sweeper=ppo"
                )
        return self._basic_sweeper().sweep(arguments)

    def _basic_sweeper(self) -> Sweeper:
        basic = ConfigStore.instance().load("hydra/sweeper/basic.yaml").node
        shared = {"max_batch_size": self.settings.max_batch_size, "params": self.settings.params}
        config = self.config.copy()
        OmegaConf.update(config, "hydra.sweeper", {**basic, **shared}, merge=False)
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )
        sweeper.config = self.config  # it is written to multirun.yaml
        return sweeper

    def _search(self) -> dict[str, Any]:
        from autosegloss.cli.typed import check_hydra

        check_hydra(self.config.hydra.overrides.hydra)
        directory = Path(self.config.hydra.sweep.dir).absolute()
        arguments = [a for a in self.config.hydra.overrides.task if _key_of(a) not in _MODES]
        with _owned(directory):
            return self._run(directory, arguments)

    def _run(self, directory: Path, arguments: list[str]) -> dict[str, Any]:
        from autosegloss.runtime import crew_of

        if OmegaConf.is_missing(self.config, "resume"):
            crew_of(1).begin()  # the process of the check: its imports take as long as what comes before the check
        from ._around import runs_around
        from ._check import check
        from ._loop import Search
        from ._prior import save_prior
        from ._task import Task

        cfg = self._compose("trials", [*arguments, *self.settings.trial])
        task = Task.of(self.settings, self.launcher, cfg, arguments, directory)
        search = Search(task, resumed=bool(OmegaConf.select(self.config, "resume")))
        # Composed now, so that a mistake in a run that follows hours of trials shows before them.
        around = {name: self._compose(name, [*arguments, *own]) for name, own in runs_around(task).items()}
        if OmegaConf.select(self.config, "dry_run"):
            from ._dry_run import dry_run

            return dry_run(search, around)
        if not search.has_begun:
            checked = check(task, around)
            checked.tell()
            checked.save(directory)
            save_prior(directory, task.prior)
        if not (directory / "multirun.yaml").exists():
            OmegaConf.save(self.config, directory / "multirun.yaml")
        return search.run()

    def _compose(self, name: str, overrides: list[str]) -> DictConfig:
        try:
            return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        except MissingConfigException:  # its message lists the configs that exist
            raise
        except HydraException as error:
            raise CompactHydraException(f"{name}: {error}") from error.__cause__

    def _as_started(self) -> AutoSegLossSweeper:
        """A sweeper with the configuration of the search to resume."""
        from ._resume import resumed_config

        config = resumed_config(self.config, self.hydra_context.config_loader, _MODES)
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )
        assert isinstance(sweeper, AutoSegLossSweeper)  # the overrides that chose this class are among those merged
        return sweeper

    def _check(self, arguments: list[str]) -> None:
        """Refuse overrides that a search cannot use."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        for override in parser.parse_overrides(arguments):
            key, typed = override.get_key_element(), override.input_line
            if override.is_sweep_override():
                remedy = "write them in brackets, prior=[A,B]" if key == "prior" else "start one search per value"
                raise CompactHydraException(f"a search takes one value for each key, got {typed}: {remedy}")
            if key == "theta":
                raise CompactHydraException(
                    f"theta is what the search finds, got {typed}: "
                    "to train with a theta of your own, use hydra.mode=RUN"
                )
            if key == "trainer.max_epochs":
                raise CompactHydraException(
                    f"a search counts steps, got {typed}: set trainer.max_steps, or trainer.max_epochs in "
                    "hydra.sweeper.comparison_common for the runs of the table"
                )
            if key == "resume" and override.value() in (None, ""):
                raise CompactHydraException(f"resume must name the folder of a search, got {typed!r}")
            if key == "dry_run" and not isinstance(override.value(), bool):
                raise CompactHydraException(f"dry_run must be true or false, got {typed}")


@contextmanager
def _owned(directory: Path) -> Iterator[None]:
    """Own `directory` in this process; folders made for it are removed again unless a search has begun in it.

    Raises:
        CompactHydraException: The folder cannot be written.
        InputError: Another process owns it.
    """
    from autosegloss.runtime import Guardian, Ownership

    from ._state import State

    with ExitStack() as stack:
        new = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        try:
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(Ownership(directory))
            stack.enter_context(Guardian())
        except OSError as error:
            raise CompactHydraException(
                f"the output folder {directory} cannot be written ({error.strerror}): "
                "make it writable, or choose another with hydra.sweep.dir=DIR"
            ) from None
        try:
            yield
        finally:
            if new and not State.exists(directory):
                shutil.rmtree(directory, ignore_errors=True)
                with suppress(OSError):  # another search may have begun in a parent folder
                    for folder in new[1:]:
                        folder.rmdir()


def _key_of(argument: str) -> str:
    from autosegloss.cli.overrides import key_of  # the package imports torch

    return key_of(argument)
