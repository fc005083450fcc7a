"""The data of a run: which samples train, which validate, which test, and how they become batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from autosegloss.data.datasets.source import Source
from autosegloss.data.disk import OnDisk
from autosegloss.data.loading import Batches, InOrder, Shuffled
from autosegloss.data.memory import Decoded, Fit, decode
from autosegloss.data.split import block_split
from autosegloss.data.transforms import Augment
from autosegloss.errors import InputError, is_whole, whole_number

_NO_VAL = "the data have no 'val' split: set data.holdout=0.2 to validate on a part of the training split"


class SegmentationData(pl.LightningDataModule):
    """Loaders of (images float32 (N, 3, H, W), labels int64 (N, H, W)) for a source.

    size: (H, W) in pixels, or one number for both; None keeps the images' own, which then must all be equal. The split
        is decoded and resized once and kept in memory as uint8, on `device` if that has room for it.
    keep_aspect: images are scaled until they cover `size` and the middle is cut out, instead of being stretched to it.
    crop: (H, W) of the windows to train on, cut out of images of any size, which are read from disk at every turn (by
        num_workers processes) and validated on whole. It takes the place of `size`.
    holdout: None validates on the "val" split. A number of samples (or a fraction) is taken out of the
        *training* split, in blocks of `block` neighbours drawn with `holdout_seed`, and validated on instead.
    seed: decides the order and the augmentation of the training data, whatever else happens in the process.
    augment: None feeds the images as they are. eval_batch_size: None means batch_size.
    device: where batches are made, unless by workers; to be set before a loader is asked for.
    Raises InputError for a setting that means nothing and, when a loader is asked for, if the data cannot give it.
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
    ):
        super().__init__()
        self.source, self.size, self.crop = source, _height_width("size", size), _height_width("crop", crop)
        if self.size and self.crop:
            raise InputError(
                f"data.size={list(self.size)} resizes images, data.crop={list(self.crop)} cuts them out of images of "
                "any size: set one of them to null"
            )
        self.keep_aspect, self.device = keep_aspect, device
        self.batch_size = batch_size
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        self.holdout, self.block, self.holdout_seed = holdout, block, holdout_seed
        self.seed, self.num_workers = seed, num_workers
        self.augment = augment or (Augment(scale=(1, 1), flip=0) if self.crop else None)
        for name in ("batch_size", "eval_batch_size", "block"):
            whole_number(f"data.{name}", getattr(self, name), least=1)
        for name in ("num_workers", "seed", "holdout_seed"):
            whole_number(f"data.{name}", getattr(self, name), least=0)

    @property
    def num_classes(self) -> int:
        return self.source.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    @property
    def ignore_index(self) -> int:
        return self.source.ignore_index

    @property
    def has_test(self) -> bool:
        return len(self.source.samples("test")) > 0

    def train_dataloader(self) -> DataLoader:
        indices, data = self.parts()[0], self._split("train")
        self._check_filled(len(indices), devices=1)
        return self._loader(data, Shuffled(indices, self.batch_size, self.seed, self.augment))

    def class_counts(self) -> Tensor:
        """Pixels of each class (C,) int64 in the part of the data that trains, without augmentation."""
        return self._split("train").counts(self.parts()[0], self.num_classes)

    def val_dataloader(self) -> DataLoader:
        if self.holdout is not None:
            return self._loader(self._split("train"), InOrder(self.parts()[1], self.eval_batch_size))
        return self._in_order("val", _NO_VAL)

    def test_dataloader(self) -> DataLoader:
        return self._in_order("test", "the data have no 'test' split: leave out the test, or add the split")

    def parts(self) -> tuple[list[int], list[int]]:
        """The indices into the training split that train, and those held out (none if holdout is None)."""
        count = len(self.source.samples("train"))
        if self.holdout is None:
            return list(range(count)), []
        return block_split(count, self.holdout, self.block, self.holdout_seed)

    def check(self, devices: int = 1) -> None:
        """Raise the InputError that a training on so many devices would end in for want of samples; decodes nothing."""
        self._check_filled(len(self.parts()[0]), devices)
        if self.holdout is None and not self.source.samples("val"):
            raise InputError(_NO_VAL)

    def _check_filled(self, samples: int, devices: int) -> None:
        if samples < self.batch_size * devices:
            many = f" on each of {devices} devices" if devices > 1 else ""
            raise InputError(
                f"{samples} training samples do not fill one batch of {self.batch_size}{many}: "
                f"set data.batch_size={samples // devices} or less"
            )

    def _in_order(self, split: str, message: str) -> DataLoader:
        if not self.source.samples(split):
            raise InputError(message)
        data = self._split(split)
        return self._loader(data, InOrder(list(range(len(data))), self.eval_batch_size))

    def _split(self, split: str) -> Decoded | OnDisk:
        if self.crop:
            return OnDisk(self.source, split)
        fit = self.size and Fit(self.size, self.keep_aspect)
        return decode(self.source, split, fit, self._device)

    @property
    def _device(self) -> torch.device:
        """Where batches are made: workers use the CPU."""
        return torch.device("cpu" if self.num_workers else self.device)

    def _loader(self, data: Decoded | OnDisk, tickets: InOrder) -> DataLoader:
        return DataLoader(
            Batches(data, self.ignore_index, self.crop, self._device),
            sampler=tickets,
            batch_size=None,  # a ticket already stands for a whole batch
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.num_workers > 0 and torch.cuda.is_available(),
        )


def from_config(root: str | None = None, download: bool = False, **settings) -> SegmentationData:
    """SegmentationData as conf/data describes it; its source has taken `root` and `download` by interpolation."""
    return SegmentationData(**settings)


def _height_width(name: str, size: tuple[int, int] | int | None) -> tuple[int, int] | None:
    """(H, W) from what a config may hold; InputError if it is neither one nor two positive whole numbers."""
    if size is None:
        return None
    both = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(both) != 2 or not all(is_whole(n, least=1) for n in both):
        raise InputError(f"data.{name} must be H, [H,W] (pixels) or null, got {size!r}")
    return both
