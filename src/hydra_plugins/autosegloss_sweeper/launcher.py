"""The launcher that uses the whole machine. Hydra imports this module at the start of every program: no torch here."""

# No `from __future__ import annotations`: see config.py.
from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig


@dataclass
class WorkersConf:
    """The launcher has no settings: the key `workers` of the configuration gives their number, null counts them."""

    _target_: str = "hydra_plugins.autosegloss_sweeper.launcher.WorkersLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="workers", node=WorkersConf, provider="autosegloss")


class WorkersLauncher(JoblibLauncher):
    """Runs jobs side by side on this machine: one for each GPU, without GPUs one for each physical core.

    A single worker runs its jobs in this process. A worker that is free takes the next job at once.
    """

    count = 1

    def __init__(self) -> None:
        super().__init__(n_jobs=2, batch_size=1)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Count the workers."""
        from ._workers import workers_of  # imports torch

        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.count = workers_of(config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their number of processes grows to that of the largest batch, and stays."""
        if self.count == 1:
            alone = BasicLauncher()
            assert self.hydra_context is not None
            assert self.task_function is not None
            alone.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
            return alone.launch(job_overrides, initial_job_idx)
        self.joblib["n_jobs"] = min(self.count, max(self.joblib["n_jobs"], len(job_overrides)))
        return super().launch(job_overrides, initial_job_idx)


def in_process(launcher: Launcher) -> bool:
    """Whether the jobs of a launcher run in this process."""
    return type(launcher) is BasicLauncher or (isinstance(launcher, WorkersLauncher) and launcher.count == 1)


def on_this_machine(launcher: Launcher) -> bool:
    """Whether the jobs of a launcher run on this machine."""
    return type(launcher).__name__ in ("BasicLauncher", "WorkersLauncher", "JoblibLauncher", "LocalLauncher")
