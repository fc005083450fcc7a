"""Whole batches at a time: their order, drawn in advance, and their making."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.utils.data import Dataset, DistributedSampler

from autosegloss.data.disk import OnDisk
from autosegloss.data.memory import Decoded
from autosegloss.data.transforms import Augment, Draws, normalise, pad, warp

Ticket = tuple[Tensor, Draws | None]  # indices (N,) of a batch, and what was drawn for it


class Batches(Dataset):
    """Looks up a ticket: normalised images float32 (N, 3, H, W) and labels int64 (N, H, W), made on `device`.

    crop: (H, W) of a training batch; None keeps the size of the images. Without draws images of different sizes are
    padded to the largest of their batch.
    """

    def __init__(
        self,
        data: Decoded | OnDisk,
        ignore_index: int,
        crop: tuple[int, int] | None = None,
        device: torch.device | str = "cpu",
    ):
        self.data, self.ignore_index, self.crop, self.device = data, ignore_index, crop, device

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, ticket: Ticket) -> tuple[Tensor, Tensor]:
        indices, draws = ticket
        made = [
            self._make(images.to(self.device), labels.to(self.device), None if draws is None else draws[which])
            for which, images, labels in self.data.stacks(indices)
        ]
        if len(made) == 1:
            return made[0]
        size = tuple(max(labels.shape[axis] for _, labels in made) for axis in (1, 2))
        padded = [pad(images, labels, size, self.ignore_index) for images, labels in made]
        images, labels = zip(*padded, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _make(self, images: Tensor, labels: Tensor, draws: Draws | None) -> tuple[Tensor, Tensor]:
        if draws is None:
            return normalise(images), labels.long()
        size = self.crop or labels.shape[1:]
        maps = draws.maps(labels.shape[1:], size)
        return warp(normalise(images, draws.colours), labels, maps, size, self.ignore_index)


class InOrder(DistributedSampler):
    """Tickets for one pass in the data's order, all samples once, also when processes share the pass.

    Lightning puts its own sampler, which repeats samples, in the place of any that is no DistributedSampler. Who
    shares is asked at each pass, because processes may be joined only after the loader is made.
    """

    def __init__(self, indices: list[int], batch_size: int):
        super().__init__(indices, num_replicas=1, rank=0)
        self.indices, self.batch_size = torch.tensor(indices), batch_size
        self.least = 1  # samples that each process needs

    def __len__(self) -> int:
        return -(-len(self._mine()) // self.batch_size)

    def __iter__(self) -> Iterator[Ticket]:
        mine = self._mine()
        for start in range(0, len(mine), self.batch_size):
            yield mine[start : start + self.batch_size], None

    def _mine(self) -> Tensor:
        processes, rank = _processes()
        return self.indices[rank::processes]


class Shuffled(InOrder):
    """Tickets for one epoch of training: order and augmentation depend on the seed and the epoch alone.

    An incomplete last batch is dropped. Processes train on disjoint parts of the same order.
    """

    def __init__(self, indices: list[int], batch_size: int, seed: int, augment: Augment | None):
        super().__init__(indices, batch_size)
        self.least = batch_size
        self.seed, self.augment = seed, augment

    def __len__(self) -> int:
        return len(self.indices) // (self.batch_size * _processes()[0])

    def __iter__(self) -> Iterator[Ticket]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = self.indices[torch.from_numpy(rng.permutation(len(self.indices)))]
        draws = self.augment.draw(len(order), rng) if self.augment else None
        self.epoch += 1  # for a plain loop; a Trainer says the epoch by itself
        processes, rank = _processes()
        step = self.batch_size * processes
        for k in range(len(order) // step):
            mine = slice(k * step + rank, (k + 1) * step, processes)
            yield order[mine], None if draws is None else draws[mine]


def _processes() -> tuple[int, int]:
    """How many processes share the data, and the number of this one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size(), dist.get_rank()
    return 1, 0
