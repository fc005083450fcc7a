"""What a data set is to the rest of the library: class names, and samples that can be loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One labelled image: a name for messages, and how to load it.

    load: returns (image, label), uint8 tensors of shape (3, H, W) and (H, W).
    mask: what messages call the label; None if it has no name, or no file, of its own.
    """

    name: str
    load: Callable[[], tuple[Tensor, Tensor]]
    mask: str | None = None


class Source(ABC):
    """A data set; concrete ones are frozen dataclasses, so hashable: decoded data are cached under them."""

    class_names: tuple[str, ...]
    ignore_index: int = 255
    expected: ClassVar[Mapping[str, int]] = {}  # samples of each split of the whole data set, where that is known

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @abstractmethod
    def samples(self, split: str) -> Sequence[Sample]:
        """The samples of the split "train", "val" or "test", neighbours side by side; [] if none."""
