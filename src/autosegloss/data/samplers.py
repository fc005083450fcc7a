"""Samplers: the order of the samples, the random parameters of their augmentation, and the share of each process.

They shard the data over the processes of torch.distributed themselves, without repeating samples. A Trainer must not
replace them: `use_distributed_sampler=False`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import distributed as dist
from torch.utils.data import Sampler

from autosegloss.data.transforms import Augment, AugmentParams


@dataclass(frozen=True)
class SampleKey:
    """What samplers yield and a dataset is indexed by: a sample, and the parameters of its augmentation, if any."""

    index: int
    params: AugmentParams | None = None


class ShardedSequentialSampler(Sampler[SampleKey]):
    """All of `indices` in order, once; process r of P takes every P-th from the r-th on.

    The processes are counted at every pass, because they may join after the loader is made.
    """

    def __init__(self, indices: Sequence[int]):
        self.indices = indices

    def __len__(self) -> int:
        return len(self._shard())

    def __iter__(self) -> Iterator[SampleKey]:
        return map(SampleKey, self._shard())

    def _shard(self) -> Sequence[int]:
        processes, rank = processes_and_rank()
        return self.indices[rank::processes]


class ShardedRandomSampler(Sampler[SampleKey]):
    """A random order of `indices` with random augmentation; both depend on the seed and the epoch alone.

    Each of P processes takes every P-th sample of the same order; the at most P - 1 samples left over are dropped, so
    that all processes take equally many.
    """

    def __init__(self, indices: Sequence[int], seed: int, augment: Augment | None):
        self.indices, self.seed, self.augment, self.epoch = indices, seed, augment, 0
        self._used = 0

    def go_on(self, epoch: int, used: int) -> None:
        """Begin the next pass in the middle of an epoch, after the `used` samples that this process has taken of it."""
        self.epoch, self._used = epoch, used

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass; a Trainer calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices) // processes_and_rank()[0]

    def __iter__(self) -> Iterator[SampleKey]:
        count, (processes, rank) = len(self.indices), processes_and_rank()
        rng = np.random.default_rng((self.seed, self.epoch))
        self.epoch += 1  # for a loop without a Trainer
        order = rng.permutation(count).tolist()
        params = self.augment.draw(count, rng) if self.augment else [None] * count
        used, self._used = self._used, 0
        for k in range(rank, count // processes * processes, processes)[used:]:
            yield SampleKey(self.indices[order[k]], params[k])


def processes_and_rank() -> tuple[int, int]:
    """The number of processes that share the data, and the rank of this one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size(), dist.get_rank()
    return 1, 0
