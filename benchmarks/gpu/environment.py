"""The machine and the versions of a check."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata

NAMES = ("triton", "torchmetrics", "pytorch-lightning", "segmentation-models-pytorch", "kornia", "numpy", "autosegloss")


def run(dry: bool) -> Iterator[dict]:
    yield {"dry": dry, **described()}


def described() -> dict:
    """One flat dict; a version that is not known is None."""
    import torch

    cuda = torch.cuda.is_available()
    line = {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "driver": _driver() if cuda else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "cores": os.cpu_count(),
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
    }
    if cuda:
        properties = torch.cuda.get_device_properties(0)
        line |= {
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_gib": round(properties.total_memory / 2**30, 1),
        }
    return line | {name: _version(name) for name in NAMES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # on the path, but not installed
        return None


def _driver() -> str | None:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def _output(*command: str) -> str | None:
    """What a program prints; None where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
