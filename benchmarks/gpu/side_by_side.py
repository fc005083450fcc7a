"""Part 4: trials side by side on one GPU, in the processes that a search's launcher would give them.

All processes start at once and train a trial each to warm up; then K of them at a time train trial after trial for some
seconds. A trial that is running at the end counts by the share before it. Leases and the launcher are left out: the
part `search` runs them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from omegaconf import DictConfig, OmegaConf

from autosegloss.runtime.crew import Crew, Request
from autosegloss.training.outcome import Failure
from gpu import paper
from gpu.record import guarded

GAIN = 2.0


def run(dry: bool) -> Iterator[dict]:
    numbers = (1, 2) if dry else (1, 2, 4, 8)
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(Crew(), Path(folder, str(k))) for k in range(numbers[-1])]
        try:
            yield from _demo(dry, workers, numbers)
            if not dry:
                yield from _paper(workers, numbers)
        finally:
            for worker in workers:
                worker.crew.close()


@dataclass(frozen=True)
class Worker:
    """A process that trains one trial after the other, and its folder."""

    crew: Crew
    folder: Path

    def train(self, config: dict[str, Any]) -> None:
        outcome = self.crew.train(Request(config, str(self.folder)))
        if isinstance(outcome, Failure):
            raise RuntimeError(f"{outcome.kind}: {outcome.message}")

    def trials_until(self, config: dict[str, Any], end: float) -> float:
        """The number of trials until a moment of the monotonic clock."""
        count = 0.0
        while (begin := time.monotonic()) < end:
            self.train(config)
            count += min(1.0, (end - begin) / (time.monotonic() - begin))
        return count


def _demo(dry: bool, workers: Sequence[Worker], numbers: Sequence[int]) -> Iterator[dict]:
    """The demo's trial, 40 steps of 8 images of 64x64; the target is about this one."""
    cfg = paper.composed("trainer.accelerator=cpu", "trainer.max_steps=2") if dry else paper.composed("trainer=gpu")
    rates: dict[int, float] = {}
    yield from _rates("the demo's trial", cfg, workers, numbers, 1.0 if dry else 6.0, rates)
    gains = {number: rate / rates[1] for number, rate in rates.items() if number > 1}
    best = max(gains, key=gains.__getitem__, default=0)
    measured = f"{gains[best]:.2f} x with {best}" if best else "not enough numbers were measured"
    ok = None if dry or not best else gains[best] >= GAIN
    yield {"target": f"trials side by side: {GAIN:g} x the trials of one at a time", "measured": measured, "ok": ok}


def _paper(workers: Sequence[Worker], numbers: Sequence[int]) -> Iterator[dict]:
    """A tenth of the paper's trial: 100 steps and 150 images, but a whole set-up; hours are of all 640 trials."""
    more = "loss=searched_miou", "trainer.precision=bf16-mixed", "trainer.max_steps=100"
    cfg = paper.settings(False, *more, train=640, judged=150)
    for line in _rates("a tenth of the paper's trial, bf16-mixed", cfg, workers, numbers[:3], 10.0, {}):
        rate = line.get("trials_per_hour")
        yield line | ({"hours": round(paper.TRIALS * 10 / rate, 2)} if rate else {})


def _rates(
    trial: str, cfg: DictConfig, workers: Sequence[Worker], numbers: Sequence[int], seconds: float, rates: dict
) -> Iterator[dict]:
    """A line for each number of trials side by side; `rates` gets the trials an hour."""
    config = OmegaConf.to_container(cfg, resolve=True)
    workers = workers[: numbers[-1]]
    yield from guarded(lambda: _warm(workers, config), what="start", trial=trial, processes=len(workers))
    for number in numbers:
        measure = partial(_rate, workers[:number], config, seconds)
        for line in guarded(measure, trial=trial, side_by_side=number):
            if "trials_per_hour" in line:
                rates[number] = line["trials_per_hour"]
                line |= {"gain": round(rates[number] / rates[1], 2)} if 1 in rates else {}
            yield line


def _warm(workers: Sequence[Worker], config: dict[str, Any]) -> dict:
    begin = time.monotonic()
    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(lambda worker: worker.train(config), workers))
    return {"took": round(time.monotonic() - begin, 2)}


def _rate(workers: Sequence[Worker], config: dict[str, Any], seconds: float) -> dict:
    psutil.cpu_percent()
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(workers)) as pool:
        count = sum(pool.map(lambda worker: worker.trials_until(config, end), workers))
    busy = psutil.cpu_percent() / 100 * (os.cpu_count() or 1)
    return {
        "trials_per_hour": round(3600 * count / seconds),
        "busy_cores": round(busy, 1),
        "threads": config["threads"],
    }
