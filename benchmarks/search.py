"""Where the time of a search's trial goes.

    python benchmarks/search.py                                                      # the demo's trial
    python benchmarks/search.py metric=bf1 trainer.max_steps=100 --json trial.json   # any overrides of search.py
    python benchmarks/search.py profile=paper network.encoder_weights=null data=shapes data.size=[128,128] \
        data.holdout=0.25 trainer.max_steps=4                                        # the paper's network

The trial is trained twice in this process, the first time to warm up. A mark between the network and the loss tells
their backward passes apart. "other" is Lightning's loop. On a GPU every mark waits for the device, so that shares are
right and the whole is slower than without; "unmarked" is the same training without marks.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from autosegloss.training import run as training

CONF = Path(__file__).parent.parent / "conf"


class Clock:
    """Seconds by part; each tick books the time since the last one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def tick(self, part: str) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


class Mark(torch.autograd.Function):
    """Nothing, between the network and the loss: it ticks when the gradient comes back."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, clock: Clock) -> torch.Tensor:
        ctx.clock = clock
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        ctx.clock.tick("loss")
        return gradient, None


class Marks(pl.Callback):
    """Ticks a clock wherever one part of a step hands over to the next."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        tick, forward = self.clock.tick, type(module).forward
        self.clock.tick("start-up")

        def marked(images: torch.Tensor) -> torch.Tensor:
            tick("other" if trainer.training else "evaluation")
            logits = forward(module, images)
            tick("network" if trainer.training else "evaluation, network")
            return Mark.apply(logits, self.clock)

        module.forward = marked

    def on_train_batch_start(self, *_: Any) -> None:
        self.clock.tick("data")

    def on_before_backward(self, *_: Any) -> None:
        self.clock.tick("loss")

    def on_after_backward(self, *_: Any) -> None:
        self.clock.tick("network")

    def on_before_optimizer_step(self, *_: Any) -> None:
        self.clock.tick("other")

    def on_before_zero_grad(self, *_: Any) -> None:
        self.clock.tick("loss")  # Lightning zeroes between the loss and its backward pass

    def on_train_batch_end(self, *_: Any) -> None:
        self.clock.tick("optimiser")

    def on_validation_end(self, *_: Any) -> None:
        self.clock.tick("evaluation")


def main() -> None:
    options, overrides = _options()
    torch.set_num_threads(options.threads)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        cfg = compose("search", [f"threads={options.threads}", *overrides])
    unmarked = [_trained(cfg, [])[0] for _ in range(2)][-1]
    clock = Clock()
    marked, clock = _trained(cfg, [Marks(clock)], clock)
    clock.tick("evaluation")
    page = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_initialized() else platform.machine(),
        "threads": options.threads,
        "torch": torch.__version__,
        "overrides": overrides,
        "steps": cfg.trainer.max_steps,
        "unmarked_seconds": unmarked,
        "marked_seconds": marked,
        "seconds": dict(clock.seconds),
    }
    Console().print(_table(page))
    if options.json:
        Path(options.json).write_text(json.dumps(page, indent=1))


def _trained(cfg: DictConfig, callbacks: list[pl.Callback], clock: Clock | None = None) -> tuple[float, Clock | None]:
    """The seconds of a training, with the callbacks of `cfg` and some more."""
    own = pl.Trainer.__init__

    def init(self: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        own(self, *args, **{**kwargs, "callbacks": [*(kwargs.get("callbacks") or []), *callbacks]})

    with tempfile.TemporaryDirectory() as folder, patch.object(pl.Trainer, "__init__", init):
        if clock is not None:
            clock.tick("none")
            clock.seconds.clear()
        seconds = training.run(cfg, folder).seconds
    return seconds, clock


def _table(page: dict) -> Table:
    seconds = page["seconds"]
    whole, network = sum(seconds.values()), seconds["network"] + seconds["evaluation, network"]
    what = " ".join(page["overrides"]) or "the demo"
    title = f"{what}, {page['steps']} steps, {page['threads']} threads, {page['device']}"
    table = Table(title=title, caption=f"unmarked {page['unmarked_seconds']:.2f} s")
    for column in ("part", "seconds", "share", "of the network's"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in ("network", "evaluation, network", "loss", "optimiser", "data", "evaluation", "other", "start-up"):
        table.add_row(part, f"{seconds[part]:.3f}", f"{seconds[part] / whole:.1%}", f"{seconds[part] / network:.1%}")
    table.add_section()
    rest = whole - network
    table.add_row("all but the network", f"{rest:.3f}", f"{rest / whole:.1%}", f"{rest / network:.1%}")
    return table


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_known_args()


if __name__ == "__main__":
    main()
