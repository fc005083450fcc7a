"""How many trainings this machine runs side by side."""

from __future__ import annotations

import psutil
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError, is_whole
from autosegloss.runtime import Devices

MEMORY = 2 * 2**30  # bytes that a worker on the CPU and its training take, small data included


def workers_of(cfg: DictConfig) -> int:
    """The number of workers.

    Args:
        cfg: The configuration of the search. Its `workers` are the user's own number; null: one for each GPU, or as
            many as may share it (`trials_per_gpu`); without a GPU one for each physical core, less where memory is
            short or a training takes several threads.

    Raises:
        InputError: The number given is none.
    """
    if (given := OmegaConf.select(cfg, "workers")) is not None:
        if not is_whole(given, least=1):
            raise InputError(f"workers must be a whole number of 1 or more, or null, got {given!r}")
        return int(given)
    try:
        devices = Devices.of(cfg.trainer)
    except InputError:  # the check of the search tells it, and which run it concerns
        return 1
    if devices.gpu:
        return _on_gpus(devices, cfg.trials_per_gpu)
    cores = cpu_count(only_physical_cores=True) // (devices.count * (cfg.threads or 1))
    return max(1, min(cores, psutil.virtual_memory().available // (MEMORY * devices.count)))


def _on_gpus(devices: Devices, slots: int) -> int:
    import torch

    free = len(devices.named) or torch.cuda.device_count()
    return max(1, free * slots // devices.count) if is_whole(slots, least=1) else 1  # `leased` refuses other slots
