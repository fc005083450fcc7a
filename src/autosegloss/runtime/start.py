"""Start a run in this process, or in processes of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autosegloss.runtime.crew import Request, crew_of
from autosegloss.runtime.devices import Devices
from autosegloss.training.failures import failure_of
from autosegloss.training.outcome import Outcome

log = logging.getLogger(__name__)


def run_inline(cfg: DictConfig, folder: str) -> Outcome:
    """Run once in this process."""
    from autosegloss.training.run import run  # imports Lightning and the networks: --help does without them

    return run(cfg, folder)


def run_in_subprocess(
    cfg: DictConfig,
    folder: str,
    console: bool = False,
    timeout: float | None = None,
    is_alive: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Run once in processes of its own, one for each device of trainer.devices, after leasing the GPUs.

    console: the output of rank 0 goes to this process's console instead of run.log. timeout: seconds that the run may
    take. is_alive: whether the search that launched the run still runs; the run ends when it does not. Every error is
    a Failure but KeyboardInterrupt, which is raised.
    """
    try:
        config = _plain(cfg)
        devices = Devices.of(config["trainer"])
        with devices.leased(config["trials_per_gpu"], is_alive) as given:
            config["trainer"]["devices"] = given
            return crew_of(devices.count).train(Request(config, folder, console), timeout, is_alive)
    except Exception as error:
        failure = failure_of(error)
        if failure.kind == "failed":
            log.exception("the run in %s failed", folder)
        if is_alive():  # or else a resumed search may use the folder
            failure.save(folder)
        return failure


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """The config in plain types, its interpolations resolved."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)  # a DictConfig gives a dict
    return {str(key): value for key, value in plain.items()}
