"""Whole batches at a time: their order, drawn in advance, and their making."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.utils.data import Dataset, DistributedSampler

from autosegloss.data.memory import Decoded
from autosegloss.data.transforms import Augment, normalise, warp

Ticket = tuple[Tensor, Tensor | None]  # indices (N,) of a batch, and its affine maps (N, 2, 3)


class Batches(Dataset):
    """Looks up a ticket: normalised images float32 (N, 3, H, W) and labels int64 (N, H, W)."""

    def __init__(self, data: Decoded, ignore_index: int):
        self.data, self.ignore_index = data, ignore_index

    def __len__(self) -> int:
        return len(self.data.images)

    def __getitem__(self, ticket: Ticket) -> tuple[Tensor, Tensor]:
        indices, maps = ticket
        images, labels = normalise(self.data.images[indices]), self.data.labels[indices]
        return (images, labels.long()) if maps is None else warp(images, labels, maps, self.ignore_index)


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
        maps = self.augment.draw(len(order), rng) if self.augment else None
        self.epoch += 1  # for a plain loop; a Trainer says the epoch by itself
        processes, rank = _processes()
        step = self.batch_size * processes
        for k in range(len(order) // step):
            mine = slice(k * step + rank, (k + 1) * step, processes)
            yield order[mine], None if maps is None else maps[mine]


def _processes() -> tuple[int, int]:
    """How many processes share the data, and the number of this one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size(), dist.get_rank()
    return 1, 0
