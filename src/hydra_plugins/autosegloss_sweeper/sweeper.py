"""The sweeper that Hydra finds: a shell around the search, free of torch until a search begins."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException, HydraException, MissingConfigException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from .config import SweeperConf

_MODES = ("resume", "dry_run")  # what to do with a search: no part of its configuration


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
        super().setup(hydra_context=self._for_jobs(hydra_context), task_function=task_function, config=config)
        self.hydra_context = hydra_context

    def sweep(self, arguments: list[str]) -> Any:
        """Search, or continue a search; returns where the results are, the found theta and its score."""
        if self.settings.strategy is None:
            return self._run_each(arguments)
        self._check(arguments)
        resumes = any(_key(argument) == "resume" for argument in arguments)
        return (self._as_started() if resumes else self)._search()

    def _for_jobs(self, context: HydraContext) -> HydraContext:
        """What the launcher composes the config of each job with."""
        if self.settings.strategy is None:
            return context
        from ._loader import TrialLoader

        return HydraContext(config_loader=TrialLoader(context.config_loader), callbacks=context.callbacks)

    def _run_each(self, arguments: list[str]) -> Any:
        for mode in _MODES:
            if OmegaConf.select(self.config, mode):
                raise CompactHydraException(
                    f"{mode} is for a search, and this sweeper has no strategy, it runs each combination of values: "
                    f"leave out {mode}, or choose a sweeper that searches, e.g. hydra/sweeper=ppo"
                )
        return super().sweep(arguments)

    def _search(self) -> dict[str, Any]:
        directory = Path(self.config.hydra.sweep.dir).absolute()
        arguments = [a for a in self.config.hydra.overrides.task if _key(a) not in _MODES]
        with _own(directory):
            return self._run(directory, arguments)

    def _run(self, directory: Path, arguments: list[str]) -> dict[str, Any]:
        from ._loop import Search

        resumed = bool(OmegaConf.select(self.config, "resume"))
        search = Search(self.settings, self.launcher, self._compose("trials", arguments), arguments, directory, resumed)
        # A mistake in what comes after hours of trials is told before them.
        around = {
            name: self._compose(name, [*arguments, *overrides]) for name, overrides in search.jobs_around().items()
        }
        if OmegaConf.select(self.config, "dry_run"):
            from ._dry_run import dry_run  # imports Lightning and the networks, as a search need not

            return dry_run(search, around)
        if not (directory / "multirun.yaml").exists():
            OmegaConf.save(self.config, directory / "multirun.yaml")
        return search.run()

    def _compose(self, name: str, overrides: list[str]) -> DictConfig:
        try:
            return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        except MissingConfigException:  # says what there is instead
            raise
        except HydraException as error:
            raise CompactHydraException(f"{name}: {error}") from error.__cause__

    def _as_started(self) -> AutoSegLossSweeper:
        """The sweeper of the search in the folder to resume: its own arguments, and what was given in addition."""
        from ._state import State

        folder = Path(str(self.config.resume))
        state = State.load(folder)
        own = self.config.hydra.overrides
        given = {_key(override): override for override in (*own.hydra, *own.task)}
        if "hydra.sweep.dir" in given and Path(self.config.hydra.sweep.dir).resolve() != folder.resolve():
            raise CompactHydraException(
                f"resume={folder} names the folder of the search, got {given['hydra.sweep.dir']} as well: leave it out"
            )
        overrides = {**_started(state.overrides, given), **given}
        overrides.pop("hydra.sweep.dir", None)  # resume names the folder, from wherever it is called
        try:
            config = self.hydra_context.config_loader.load_configuration(
                config_name=self.config.hydra.job.config_name,
                overrides=list(overrides.values()),
                run_mode=RunMode.MULTIRUN,
            )
        except HydraException as error:
            typed = [override for key, override in given.items() if key not in _MODES]
            raise CompactHydraException(
                f"resume={folder}: the search was started with other settings, which do not go together with "
                f"{' '.join(typed) or 'the configuration as it is'} ({' '.join(str(error).split())}): leave these out"
            ) from None
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
            if override.get_key_element() == "resume" and override.value() in (None, ""):
                raise CompactHydraException(f"resume must name the folder of a search, got {override.input_line!r}")
            if override.get_key_element() == "dry_run" and not isinstance(override.value(), bool):
                raise CompactHydraException(f"dry_run must be true or false, got {override.input_line}")


@contextmanager
def _own(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process; what was not there before goes again if no search has begun in it.

    Raises CompactHydraException where it cannot be written, InputError where another process holds it.
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
            if new and not State.exists(directory):  # nothing but a mistake, or a dry run
                shutil.rmtree(directory, ignore_errors=True)
                with suppress(OSError):  # another search has begun beside it
                    for folder in new[1:]:
                        folder.rmdir()


def _started(overrides: Sequence[str], given: dict[str, str]) -> dict[str, str]:
    """{key: override} of what a search was started with, without the options of a launcher that is replaced now."""
    started = {_key(override): override for override in overrides}
    launcher = started.get("hydra/launcher")
    if given.get("hydra/launcher", launcher) == launcher:
        return started
    return {key: override for key, override in started.items() if not key.startswith("hydra.launcher.")}


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
