"""The data of a run: which samples train, which validate, which test, and how they become batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from autosegloss.data.boundary import Boundary
from autosegloss.data.dataset import SegmentationDataset, Stack, by_size, joined
from autosegloss.data.datasets.source import Source
from autosegloss.data.disk import DiskSplit
from autosegloss.data.holdout import draw
from autosegloss.data.memory import Resize, decode
from autosegloss.data.own_size import decode_own_size
from autosegloss.data.samplers import SampleKey, ShardedRandomSampler, ShardedSequentialSampler
from autosegloss.data.splits import Split
from autosegloss.data.transforms import Augment
from autosegloss.errors import InputError, is_whole, unknown, whole_number


class SegmentationData(pl.LightningDataModule):
    """Loaders of a source: batches to train on, (images float32 (N, B, H, W), labels int64 (N, H, W)), and to judge.

    A batch of validation or test is a list of such pairs, each of images of one size and labels of one size, so that
    nothing depends on what else is in the batch; labels may be larger than images (see `score_at`).

    The samplers shard the data over the processes of a distributed run themselves: such a Trainer needs
    `use_distributed_sampler=False`.

    Args:
        source: the data set.
        size: (H, W) in pixels, or one number for both, to which the images are resized; they are decoded once and kept
            in memory, on `device` if it has room for them. None keeps the images' size, which must be equal.
        batch_size: samples of a training batch of one process.
        holdout: None validates on the "val" split; a number of samples, or a fraction, takes these out of the training
            split instead, in blocks of `block` neighbours drawn with `holdout_seed`; samples of one group stay
            together.
        seed: decides the order and the augmentation of the training data, whatever the global random state.
        augment: None feeds the images as they are.
        num_workers: processes that make batches, on the CPU; 0 makes them in the process of the run.
        eval_batch_size: samples of a batch of validation or test; None means `batch_size`.
        crop: takes the place of `size`: (H, W) in pixels of the windows to train on, cut out of images of any size,
            which are read from disk for every batch and validated on whole.
        keep_aspect: False stretches images to `size`; True scales them until they cover it and cuts out their centre.
        device: where batches are made, unless workers make them.
        score_at: "masks" judges at the masks' own size, to which predictions are scaled; "input" at `size`.
        boundary: how far the metrics of boundaries reach; None means 5 pixels.

    Raises:
        InputError: for a setting that is out of range and, when a loader is made, for data that cannot provide it.

    Example:
        >>> from autosegloss.data import Augment, SegmentationData, Shapes
        >>> data = SegmentationData(Shapes(train=8, val=4), size=None, batch_size=4, augment=Augment())
        >>> images, labels = next(iter(data.train_dataloader()))
        >>> images.shape, labels.shape
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 64, 64]))
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int] | int | None,
        batch_size: int,
        holdout: int | float | None = None,
        block: int = 1,
        holdout_seed: int = 0,
        seed: int = 0,
        augment: Augment | None = None,
        num_workers: int = 0,
        eval_batch_size: int | None = None,
        crop: tuple[int, int] | int | None = None,
        keep_aspect: bool = False,
        device: torch.device | str = "cpu",
        score_at: str = "masks",
        boundary: Boundary | None = None,
    ):
        super().__init__()
        self.source, self.size, self.crop = source, _height_width("size", size), _height_width("crop", crop)
        if self.size and self.crop:
            raise InputError(
                f"data.size={list(self.size)} resizes images, data.crop={list(self.crop)} cuts them out of images of "
                "any size: set one of them to null"
            )
        self.resize = Resize(self.size, keep_aspect) if self.size else None
        self.batch_size = batch_size
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        self.holdout, self.block, self.holdout_seed = holdout, block, holdout_seed
        self.seed, self.num_workers = seed, num_workers
        self.augment = augment or (Augment(scale=(1, 1), flip=0) if self.crop else None)
        if source.channels != 3 and self.augment and self.augment.colours and self.augment.colours.probability:
            raise InputError(
                f"data.augment.colours varies red, green and blue, but images have {source.channels} band(s): set "
                "data.augment.colours=null"
            )
        for name in ("batch_size", "eval_batch_size", "block"):
            whole_number(f"data.{name}", getattr(self, name), least=1)
        for name in ("num_workers", "seed", "holdout_seed"):
            whole_number(f"data.{name}", getattr(self, name), least=0)
        if score_at not in ("masks", "input"):
            raise unknown("data.score_at", score_at, ["masks", "input"])
        self.score_at, self.boundary = score_at, boundary or Boundary()
        self.device = torch.device("cpu" if num_workers else device)

    @property
    def num_classes(self) -> int:
        return self.source.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    @property
    def ignore_index(self) -> int:
        """The label of pixels that count nowhere: that of the source, or of padding for a source without one."""
        own = self.source.ignore_index
        return max(255, self.num_classes) if own is None else own

    @property
    def has_test(self) -> bool:
        return len(self.source.samples("test")) > 0

    @cached_property
    def parts(self) -> tuple[list[int], list[int]]:
        """The indices into the training split that train, and those held out (empty if `holdout` is None)."""
        samples = self.source.samples("train")
        if self.holdout is None:
            return list(range(len(samples))), []
        groups = [sample.group for sample in samples] if any(sample.group for sample in samples) else None
        return draw(len(samples), self.holdout, self.block, self.holdout_seed, groups)

    def train_dataloader(self) -> DataLoader:
        """Shuffled and augmented batches; an incomplete last batch is dropped."""
        self._check_train(devices=1)
        sampler = ShardedRandomSampler(self.parts[0], self.seed, self.augment)
        own = torch.Generator() if self.num_workers else None  # their start must not shift what is drawn from dropout
        return self._loader(self.training_split(), sampler, self.batch_size, joined, drop_last=True, generator=own)

    def val_dataloader(self) -> DataLoader:
        """The validation samples in order: those held out, or the "val" split."""
        return self._eval_loader(*self.eval_samples("val"))

    def unseen_dataloader(self) -> DataLoader | None:
        """The samples of the "val" split where held-out ones validate in its place; None if there are none."""
        samples = () if self.holdout is None else self.source.samples("val")
        return self._eval_loader("val", range(len(samples))) if samples else None

    def test_dataloader(self) -> DataLoader:
        """The samples of the "test" split in order."""
        return self._eval_loader(*self.eval_samples("test"))

    def training_split(self) -> Split:
        """The samples of the split "train", of which `parts` names those that train."""
        return self._split("train")

    def class_counts(self) -> Tensor:
        """The number of pixels of each class, int64 (C,), in the samples that train, without augmentation."""
        return self.training_split().class_counts(self.parts[0], self.num_classes)

    def check(self, devices: int = 1, test: bool = False) -> None:
        """Raise the InputError of a run on `devices` devices that lacks samples, without decoding any.

        Each device needs a batch to train on and a sample of its own to validate on; with `test`, also one to test on.
        A device without data would leave the others waiting for it.
        """
        self._check_train(devices)
        for split in ("val", "test") if test else ("val",):
            count = len(self.eval_samples(split)[1])
            if count < devices:
                raise InputError(
                    f"{count} samples are too few for {devices} devices, each of which needs 1: "
                    "set trainer.devices or data.batch_size lower"
                )

    def _check_train(self, devices: int) -> None:
        count = len(self.parts[0])
        if count < self.batch_size * devices:
            each = f" on each of {devices} devices" if devices > 1 else ""
            raise InputError(
                f"{count} training samples do not fill one batch of {self.batch_size}{each}: "
                f"set data.batch_size={count // devices} or less"
            )

    def eval_samples(self, split: str) -> tuple[str, Sequence[int]]:
        """The split that stands for "val" or "test", and the indices of its samples; InputError if it is empty."""
        if split == "val" and self.holdout is not None:
            return "train", self.parts[1]
        if not (samples := self.source.samples(split)):
            raise InputError(_MISSING[split])
        return split, range(len(samples))

    def _eval_loader(self, split: str, indices: Sequence[int]) -> DataLoader:
        judged = self.judged_split(split, indices)
        own = torch.Generator()  # a loader draws from it; the global one is that of the training that goes on
        return self._loader(judged, ShardedSequentialSampler(indices), self.eval_batch_size, by_size, generator=own)

    def _loader(
        self,
        split: Split,
        sampler: Sampler[SampleKey],
        batch_size: int,
        collate: Callable[[Sequence[Stack]], Any],
        drop_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> DataLoader:
        return DataLoader(
            SegmentationDataset(split, self.ignore_index, self.crop, self.device),
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            generator=generator,
            collate_fn=collate,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.num_workers > 0 and torch.cuda.is_available(),
        )

    def _split(self, split: str) -> Split:
        if self.crop:
            return DiskSplit(self.source, split)
        return decode(self.source, split, self.resize, self.device)

    def judged_split(self, split: str, indices: Sequence[int]) -> Split:
        """The samples at `indices` of a split as they are judged."""
        if self.resize and self.score_at == "masks":
            return decode_own_size(self.source, split, tuple(indices), self.resize)
        return self._split(split)


_MISSING = {
    "train": "the data have no 'train' split: add it, or choose another",
    "val": "the data have no 'val' split: set data.holdout=0.2 to validate on a part of the training split",
    "test": "the data have no 'test' split: leave out the test, or add the split",
}


def _height_width(name: str, size: tuple[int, int] | int | None) -> tuple[int, int] | None:
    """(H, W) from a setting; raises InputError unless it is one or two positive whole numbers, or None."""
    if size is None:
        return None
    both = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(both) != 2 or not all(is_whole(n, least=1) for n in both):
        raise InputError(f"data.{name} must be H, [H,W] (pixels) or null, got {size!r}")
    return both
