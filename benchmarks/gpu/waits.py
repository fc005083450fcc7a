"""Where the CPU waits for the GPU: torch raises an error at each such place that it knows of."""

from __future__ import annotations

import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

ROOT = Path(__file__).resolve().parents[2]
STEPS = range(2, 5)  # the steps that are watched: the first ones set up what stays


class WatchedSteps(pl.Callback):
    """Any wait for the GPU is an error within some steps, with `between` also from one of them to the next."""

    def __init__(self, between: bool = False):
        self.between = between

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step in STEPS:
            _mode("error")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if not self.between or trainer.global_step not in STEPS:  # it counts the steps that are done
            _mode("default")

    def on_exception(self, *_: Any) -> None:
        _mode("default")  # the end of a training waits


def of_call(run: Callable[[], object], cuda: bool) -> dict:
    """Whether a call waits, and where."""
    run()
    try:
        with _watched(cuda):
            run()
    except RuntimeError as error:
        return _result(error)
    return {"waits": False}


def of_training(overrides: list[str], between: bool, cuda: bool) -> dict:
    """Whether a step of the training of these overrides of search.py waits, and where."""
    from hydra import compose, initialize_config_dir

    from autosegloss.training.run import train

    small = ["data.source.train=64", "data.source.val=8", "data.source.test=0", f"trainer.max_steps={STEPS.stop + 1}"]
    device = ["trainer=gpu"] if cuda else ["trainer.accelerator=cpu", "data.source.size=32", "data.batch_size=2"]
    watch = f"+callbacks.watch={{_target_: gpu.waits.WatchedSteps, between: {between}}}"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("search", [*small, *device, watch, *overrides])
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(cfg, Path(folder))
    except RuntimeError as error:
        return _result(error)
    finally:
        _mode("default")
    return {"waits": False}


def _result(error: RuntimeError) -> dict:
    """The place of a wait: the last line of this project on the way there, and the last of all."""
    if "synchronizing" not in str(error):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "autosegloss" in Path(frame.filename).parts]
    return {"waits": True, "ours": _place(ours[-1]) if ours else "", "at": _place(frames[-1])}


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.line}"


@contextmanager
def _watched(cuda: bool) -> Iterator[None]:
    if cuda:
        _mode("error")
    try:
        yield
    finally:
        _mode("default")


def _mode(mode: str) -> None:
    if torch.cuda.is_available():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that it does not know all such places yet
            torch.cuda.set_sync_debug_mode(mode)
