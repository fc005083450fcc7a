"""The environment of a run: the ranks that a launcher gave its processes; nothing else there changes a training."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RANKS = {f"{of}{name}" for name in ("RANK", "WORLD_SIZE") for of in ("", "LOCAL_", "GROUP_", "NODE_", "ROLE_")}
_LAUNCHERS = ("TORCHELASTIC_", "SLURM_", "SUBMITIT_", "LSB_", "JSM_", "OMPI_", "PMI_", "PMIX_", "MASTER_")
_LIGHTNING = "PL_"  # PL_TRAINER_LIMIT_TRAIN_BATCHES=1 is an argument of every Trainer


def one_of_several() -> bool:
    """Whether torchrun, srun or the user has started this process as one of several.

    LOCAL_RANK alone is a leftover: processes find each other by MASTER_PORT.
    """
    return under_srun() or {"LOCAL_RANK", "MASTER_PORT"} <= os.environ.keys()


def under_srun() -> bool:
    """Whether srun has started several tasks, and this process is one of them itself, without torchrun between."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "TORCHELASTIC_RUN_ID" not in os.environ


def local_rank() -> int:
    """The number of this process among those of its machine that train together."""
    name = "SLURM_LOCALID" if under_srun() else "LOCAL_RANK"
    return int(os.environ.get(name, 0)) if one_of_several() else 0


def without_launcher() -> dict[str, str]:
    """The environment of this process without the variables of launchers and of Lightning."""
    foreign = (*_LAUNCHERS, _LIGHTNING)
    return {name: value for name, value in os.environ.items() if name not in _RANKS and not name.startswith(foreign)}


@contextmanager
def config_decides() -> Iterator[None]:
    """Within it Lightning finds the ranks of processes that a launcher has started, and nothing else of its own.

    Lightning takes arguments of the Trainer from the environment, and takes every process with SLURM_NTASKS for a task
    of srun, for which it loads the newest hpc_ckpt_N.ckpt of the run's folder before a validation and a test.
    """
    if one_of_several():
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LIGHTNING)}
        kept |= {"SLURM_JOB_NAME": "interactive"}  # with this name Lightning loads no such file
    else:
        kept = without_launcher()
    before = {
        name: os.environ.get(name) for name in (*os.environ, "SLURM_JOB_NAME") if os.environ.get(name) != kept.get(name)
    }
    _set({name: kept.get(name) for name in before})
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    """Set variables of the environment; None removes one."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def deaf_to_warnings() -> Iterator[None]:
    """Within it SIGUSR1 and SIGUSR2, by which clusters tell that time is nearly up, do not kill this process.

    Nothing answers them but a handler of the user's, which stays; the cluster's SIGTERM follows, and ends the run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
    silenced = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in silenced:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number in silenced:
            signal.signal(number, signal.SIG_DFL)
