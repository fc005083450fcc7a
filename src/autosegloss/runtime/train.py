"""What a worker does for one request."""

from __future__ import annotations

import gc
import traceback
from typing import Any

import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from autosegloss.cli.jobs import mistake_in
from autosegloss.errors import DivergedError
from autosegloss.training import run as training


def train(config: dict[str, Any], directory: str) -> tuple[str, str]:
    """Train once; how it ended, and one line that says why."""
    outcome = _outcome(config, directory)
    if torch.cuda.is_initialized():  # whoever has the GPU next needs its memory
        gc.collect()
        torch.cuda.empty_cache()
    return outcome


def _outcome(config: dict[str, Any], directory: str) -> tuple[str, str]:
    try:
        training.run(OmegaConf.create(config), directory)
    except KeyboardInterrupt as error:
        return "interrupted", str(error)
    except DivergedError as error:
        return "diverged", str(error)
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else None
        if isinstance(cause, OSError | RuntimeError | MemoryError):  # the machine's: it may go better the next time
            error = cause
        elif mistake := mistake_in(error):
            return "mistake", mistake
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())}"
    return "ok", ""
