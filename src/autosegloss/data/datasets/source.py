"""The contract of a data set: class names, and samples that can be loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from autosegloss.errors import InputError

SPLITS = ("train", "val", "test")


class SampleError(InputError):
    """A sample that cannot be used. `kind` says in a few words what such samples have in common."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[SampleError], tuple[str, str]]:
        return SampleError, (self.kind, str(self))


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Args:
        name: identifies the image in messages, usually its path.
        load: returns the image (B, H, W), uint8 or float32, both on the scale 0..255, and the label (H, W), uint8, or
            (C, H, W) of 0 and 1 where a pixel has any number of classes. It is called in threads and in worker
            processes, so it can be pickled.
        mask: identifies the label in messages, usually its path; None if the label has no file of its own.
        group: samples of one group, as of one patient or one sequence, stay together in every split; None if the
            sample belongs to no group.
    """

    name: str
    load: Callable[[], tuple[Tensor, Tensor]]
    mask: str | None = None
    group: str | None = None


class Source(ABC):
    """A data set: its classes, and the samples of its splits. Subclasses are frozen dataclasses: decoded images are
    cached under them, so they must be hashable.

    Attributes:
        class_names: one name per class; class c is the label value c.
        ignore_index: the label value of pixels that count nowhere; None if every pixel counts.
        channels: B, the number of bands of an image; 3 are red, green and blue.
        expected: the number of samples of each split of the complete data set, for `python -m autosegloss.data check`;
            empty if it is unknown.

    Example::

        @dataclass(frozen=True)
        class Roofs(Source):
            root: str

            class_names = ("ground", "roof")

            def samples(self, split):
                images = sorted(Path(self.root, split).glob("*_photo.jpg"))
                masks = [path.with_name(path.name.replace("_photo.jpg", "_roofs.png")) for path in images]
                return [
                    Sample(str(image), partial(load_pair, image, mask, read_mask), str(mask))
                    for image, mask in zip(images, masks, strict=True)
                ]
    """

    ignore_index: int | None = 255

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their label values; a plain class attribute will do."""

    @property
    def expected(self) -> Mapping[str, int]:
        """The number of samples of each split of the complete data set; a plain class attribute will do."""
        return {}

    @property
    def channels(self) -> int:
        """The number of bands of an image; a plain class attribute will do."""
        return 3

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @abstractmethod
    def samples(self, split: str) -> Sequence[Sample]:
        """The samples of the split "train", "val" or "test", neighbouring frames in order; empty without this split."""

    def assumptions(self) -> Sequence[str]:
        """What the reader takes for granted about the files, a sentence each; programs print it once."""
        return ()
