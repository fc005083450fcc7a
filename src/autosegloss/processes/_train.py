"""What a worker does for one request."""

from __future__ import annotations

import traceback
from typing import Any

from omegaconf import OmegaConf

from autosegloss import training
from autosegloss.cli import mistake_in
from autosegloss.errors import DivergedError


def train(config: dict[str, Any], directory: str) -> tuple[str, str]:
    """Train once; how it ended, and one line that says why."""
    try:
        training.run(OmegaConf.create(config), directory)
    except KeyboardInterrupt as error:
        return "interrupted", str(error)
    except Exception as error:
        traceback.print_exc()
        if mistake := mistake_in(error):
            return "mistake", mistake
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        text = " ".join(str(error).split())
        return status, text if status == "diverged" else f"{type(error).__name__}: {text}"
    return "ok", ""
