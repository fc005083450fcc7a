"""Your own data: a folder of images and a folder of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autosegloss.data.datasets.pairs import existing_root, find_pairs
from autosegloss.data.datasets.source import SPLITS, Sample, Source
from autosegloss.data.holdout import block_split
from autosegloss.errors import InputError, is_number, whole_number

LAYOUT = "expected ROOT/{train,val,test}/{images,masks}/NAME.png, or unsplit ROOT/{images,masks}/NAME.png"


@dataclass(frozen=True)
class Folder(Source):
    """Images, and masks of the same stem whose values are class indices.

    `class_names` and `samples` raise InputError for a folder of another layout.

    Args:
        root: the folder with train/ and optionally val/ and test/, each with images/ and masks/; or with images/ and
            masks/ directly, which are then split at random.
        classes: their number, or their names; None reads the names from ROOT/classes.txt, one per line.
        ignore_index: the mask value of unlabelled pixels.
        val_fraction: the share of the split "val" in the second layout; 0 for no such split.
        test_fraction: likewise for "test".
        block: in the second layout, the number of neighbours by name that stay together.
        seed: of the random split.
    """

    root: str | Path | None
    classes: int | tuple[str, ...] | None = None
    ignore_index: int = 255
    val_fraction: float = 0.2
    test_fraction: float = 0.0
    block: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.classes, Sequence) and not isinstance(self.classes, str):
            names = _checked_names("data.source.classes", self.classes)  # a list, if it comes from a config
            object.__setattr__(self, "classes", names)
        elif self.classes is not None:
            whole_number("data.source.classes", self.classes, least=1)

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.classes is None:
            return self._read_class_names()
        return self.classes if isinstance(self.classes, tuple) else tuple(f"class {i}" for i in range(self.classes))

    def samples(self, split: str) -> Sequence[Sample]:
        root = self._folder()
        if (root / "images").is_dir():
            samples = find_pairs(root / "images", root / "masks")
            return [samples[i] for i in self._divide(len(samples))[split]]
        if not any((root / name / "images").is_dir() for name in SPLITS):
            raise InputError(f"{root} holds no images: {LAYOUT}")
        folder = root / split
        return find_pairs(folder / "images", folder / "masks") if folder.is_dir() else []

    def _divide(self, count: int) -> dict[str, list[int]]:
        """The indices of each split when `count` images are split at random: test is drawn first, then val."""
        fractions = self.val_fraction, self.test_fraction
        if not all(is_number(fraction) and fraction >= 0 for fraction in fractions) or sum(fractions) >= 1:
            raise InputError(
                f"val_fraction={self.val_fraction!r} and test_fraction={self.test_fraction!r} leave nothing to "
                "train on: they must be fractions of 0 or more whose sum is below 1"
            )
        rest = list(range(count))
        parts: dict[str, list[int]] = {"val": [], "test": []}
        for split, fraction in (("test", self.test_fraction), ("val", self.val_fraction)):
            if number := round(fraction * count):
                kept, taken = block_split(len(rest), number, self.block, self.seed)
                rest, parts[split] = [rest[i] for i in kept], [rest[i] for i in taken]
        return {"train": rest, **parts}

    def _read_class_names(self) -> tuple[str, ...]:
        path = self._folder() / "classes.txt"
        if not path.is_file():
            raise InputError(
                f"number of classes unknown: set data.source.classes=N, or list their names in {path}, one a line"
            )
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            raise InputError(f"{path}: its text is not UTF-8; save it as such") from None
        return _checked_names(str(path), [line.strip() for line in lines if line.strip()])

    def _folder(self) -> Path:
        return existing_root(self.root, LAYOUT)


def _checked_names(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes; raises InputError if the list is empty or holds a name twice."""
    if not names:
        raise InputError(f"{where}: no class is named; list the names")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{where}: named twice: {', '.join(map(str, twice))}; classes need names of their own")
    return tuple(names)
