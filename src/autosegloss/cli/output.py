"""The output folder of a program, tried before Hydra writes into it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class OutputFolder(Callback):
    """Hydra's callback that ends the program with one line if the output folder cannot be written.

    Hydra calls it before a run, and before a grid of runs. A search makes its folder itself.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _try(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.sweeper.get("strategy") is None:
            _try(config, "hydra.sweep.dir")


def _try(config: DictConfig, key: str) -> None:
    try:
        folder = Path(OmegaConf.select(config, key))
    except OmegaConfBaseException:  # Hydra meets the same error, and reports it
        return
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:  # Hydra turns any Exception of a callback into a warning
        where = "choose one with hydra.run.dir=DIR, for several runs hydra.sweep.dir=DIR"
        raise SystemExit(f"error: the output folder cannot be written ({error}): {where}") from error
    finally:
        for path in new:  # Hydra makes it again, unless a mistake ends the program before
            with suppress(OSError):
                path.rmdir()
