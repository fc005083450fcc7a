"""Steps of the paper's training in a plain loop around the project's own module, data and optimiser."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.training.graphs import graph_training
from autosegloss.training.module import padded
from autosegloss.training.run import make_module
from gpu.graphs import Replay

Tick = Callable[[str], None]


class Stamps:
    """Moments between the parts of a step, on the clock of the device, which nothing waits for."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"
        self.moments: list[tuple[str, float | torch.cuda.Event]] = []

    def __call__(self, part: str) -> None:
        """The part ends here."""
        moment: float | torch.cuda.Event = time.perf_counter()
        if self.cuda:
            moment = torch.cuda.Event(enable_timing=True)
            moment.record()
        self.moments.append((part, moment))

    def medians(self) -> dict[str, float]:
        """The median milliseconds of each part."""
        if self.cuda:
            torch.cuda.synchronize()
        taken: dict[str, list[float]] = defaultdict(list)
        for (_, begin), (part, end) in zip(self.moments, self.moments[1:], strict=False):
            taken[part].append(begin.elapsed_time(end) if self.cuda else 1000 * (end - begin))
        return {part: statistics.median(times) for part, times in taken.items()}


class Loop:
    """A training without Lightning.

    precision: "32-true" or "bf16-mixed". channels_last: as the project has it, or not.
    """

    def __init__(self, cfg: DictConfig, device: torch.device, precision: str = "32-true", channels_last: bool = True):
        self.device, self.reduced = device, precision == "bf16-mixed"
        data = instantiate(cfg.data, device=device)
        self.module = make_module(cfg, data).to(device).train()
        self.forward = self.module if channels_last else self.module.network
        if not channels_last:
            self.module.network.to(memory_format=torch.contiguous_format)
        self.optimizer, self.schedule = self.module.optimizer(self.module.network, max_steps=10_000)
        self.batches, self.judged = _endless(data.train_dataloader()), data.val_dataloader()

    def autocast(self) -> AbstractContextManager:
        # weights that are cast once and kept would be those of another graph
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.reduced, cache_enabled=False)

    def loss(self, images: Tensor, labels: Tensor, tick: Tick) -> Tensor:
        with self.autocast(), labels_are_classes():
            logits = self.forward(images)
            tick("network, forward")
            logits.register_hook(lambda gradient: tick("loss, backward"))
            loss = self.module.loss(logits, labels)
        tick("loss, forward")
        return loss

    def step(self, tick: Tick = lambda part: None) -> None:
        images, labels = next(self.batches)
        tick("data")
        self.loss(images, labels, tick).backward()
        tick("network, backward")
        self.update()
        self.optimizer.zero_grad()
        tick("optimiser")

    def update(self) -> None:
        self.optimizer.step()
        self.schedule.step()

    def waits(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _endless(loader: Iterable) -> Iterator:
    while True:
        yield from loader


def rate(step: Callable[[], None], waits: Callable[[], None], steps: int, warm: int) -> float:
    """Steps a second after some to warm up."""
    for _ in range(warm):
        step()
    waits()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    waits()
    return steps / (time.perf_counter() - begin)


def graphed(loop: Loop) -> Callable[[], None]:
    """A step whose network, loss and gradient are one CUDA graph; data and optimiser are not in it."""
    images, labels = (part.clone() for part in next(loop.batches))

    def gradient() -> None:
        loop.optimizer.zero_grad()
        loop.loss(images, labels, lambda part: None).backward()

    replay = Replay(gradient)

    def step() -> None:
        new = next(loop.batches)
        images.copy_(new[0])
        labels.copy_(new[1])
        replay()
        loop.update()

    return step


def network_graphed(loop: Loop) -> Callable[[], None]:
    """A step whose network is one CUDA graph forward and one backward, as callbacks=cuda_graph makes them."""
    images, _ = next(loop.batches)
    with loop.autocast():
        graph_training(loop.module.network, padded(images).clone())
    return loop.step
