"""The output folder of a program, tried before Hydra writes into it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class OutputFolder(Callback):
    """Hydra's callback that ends the program with one line if the output folder cannot be written.

    Hydra calls it before a run, and before a grid of runs. It creates nothing. A search makes its folder itself.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _check(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.sweeper.get("strategy") is None:
            _check(config, "hydra.sweep.dir")


def _check(config: DictConfig, key: str) -> None:
    try:
        folder = Path(OmegaConf.select(config, key))
    except OmegaConfBaseException:  # Hydra meets the same error, and reports it
        return
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:  # Hydra turns any Exception of a callback into a warning
        reason = OSError(error.errno, error.strerror, str(folder))
        where = "choose one with hydra.run.dir=DIR, for several runs hydra.sweep.dir=DIR"
        raise SystemExit(f"error: the output folder cannot be written ({reason}): {where}") from error
