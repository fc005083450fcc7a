"""Your own data: folders of images and masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from autosegloss.data.datasets.bands import MAX_MEGAPIXELS
from autosegloss.data.datasets.class_files import (
    NAMES_FILE,
    checked_colours,
    checked_labels,
    classes_in,
    entries_of,
    read_class_names,
)
from autosegloss.data.datasets.class_table import IGNORE, Classes, checked_names, classes_of, listed, plain_classes
from autosegloss.data.datasets.division import at_random, by_lists, groups_of
from autosegloss.data.datasets.images import ImageReader
from autosegloss.data.datasets.known_layouts import LAYOUT, PATTERNS, found_layout
from autosegloss.data.datasets.layers import in_layers, present
from autosegloss.data.datasets.layout import Layout, Pair, summary
from autosegloss.data.datasets.masks import MaskTable
from autosegloss.data.datasets.pairs import existing_root, load_pair
from autosegloss.data.datasets.source import SPLITS, Sample, Source
from autosegloss.data.reading import map_in_threads
from autosegloss.errors import InputError, unknown, whole_number
from autosegloss.tasks import Task


@dataclass(frozen=True)
class Folder(Source):
    """Images and their masks in any folders.

    `class_names` and `samples` raise InputError for a folder of another layout.

    Args:
        root: the folder with train/ and optionally val/ and test/, each with images/ and masks/; or with images/ and
            masks/ directly, which are then divided. Subfolders are part of it; a mask has the path of its image.
        classes: their number, or their names; None reads the names from ROOT/classes.txt, one per line, or the whole
            table from ROOT/classes.yaml.
        ignore_index: the label of pixels that count nowhere; None if every pixel counts. Without a table it is the
            mask value of unlabelled pixels.
        labels: {mask value: class}, by index or name, or "ignore"; None reads mask values as labels.
        colours: {class name: [R,G,B]} or several colours a class; "ignore" is a name, too.
        unknown: "error" or "ignore": what becomes of values and colours that the table lacks.
        images: where the images are, a pattern (see `Layout`); None for the layouts of `root`.
        masks: the path of the mask of an image, likewise.
        lists: {split: file}, lists of the images of each split, relative to ROOT; None takes ROOT/{train,val,test}.txt
            if the first of them exists.
        val_fraction: the share of the split "val" if neither folders nor lists divide the images; 0 for no such split.
        test_fraction: likewise for "test".
        block: likewise, the number of neighbours by name that stay together.
        group: a regular expression; images in whose paths it finds the same stay together, as those of a patient.
        stratify: whether the random division gives each split its share of the images of each class.
        seed: of the random division.
        bands: the bands of the images to read, from 0; None reads grey and RGB as RGB and refuses others.
        max_value: the value of images of more than 8 bits that becomes 255; None means 65535 for 16 bits.
        max_megapixels: the size in millions of pixels up to which an image is read.
        task: by name; of masks that no table names, those of "binary" hold background, 0, and foreground, 1; those of
            "multilabel" have a band for each class (see `Layers`), and no table.

    Raises:
        InputError: for a setting of another form.
    """

    root: str | Path | None
    classes: int | Sequence[str] | None = None
    ignore_index: int | None = 255
    labels: Any = None
    colours: Any = None
    unknown: str = "error"
    images: str | None = None
    masks: str | None = None
    lists: Any = None
    val_fraction: float = 0.2
    test_fraction: float = 0.0
    block: int = 1
    group: str | None = None
    stratify: bool = False
    seed: int = 0
    bands: tuple[int, ...] | None = None
    max_value: float | None = None
    max_megapixels: float = MAX_MEGAPIXELS
    task: str = dataclasses.field(default="multiclass", repr=False)

    def __post_init__(self) -> None:
        """Check the settings; those that a config gives as lists and dictionaries become tuples, to be hashable."""
        set_value = partial(object.__setattr__, self)
        if isinstance(self.classes, Sequence) and not isinstance(self.classes, str):
            set_value("classes", checked_names("data.source.classes", self.classes))
        elif self.classes is not None:
            whole_number("data.source.classes", self.classes, least=1)
        if self.ignore_index is not None and whole_number("data.source.ignore_index", self.ignore_index, 0) > 255:
            raise InputError(f"data.source.ignore_index: expected 0 to 255, or null, got {self.ignore_index}")
        if self.unknown not in ("error", IGNORE):
            raise unknown("data.source.unknown", self.unknown, ("error", IGNORE))
        if (self.images is None) != (self.masks is None):
            raise InputError(f"data.source.images and data.source.masks go together: set both, {PATTERNS}")
        for name, check in (("labels", checked_labels), ("colours", checked_colours), ("lists", _checked_lists)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                set_value(name, check(value))
            elif value is not None and not (
                isinstance(value, tuple) and all(isinstance(pair, tuple) for pair in value)
            ):
                raise InputError(f"data.source.{name}: expected a dictionary, as {_FORMS[name]}, got {value!r}")
        if self.group is not None and not isinstance(self.group, str):
            raise InputError(
                f"data.source.group: expected a regular expression, as 'patient[0-9]+', got {self.group!r}"
            )
        if not isinstance(self.stratify, bool):
            raise InputError(f"data.source.stratify: expected true or false, got {self.stratify!r}")

        set_value("bands", self.image_reader.bands)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # not what it has found

    @property
    def channels(self) -> int:
        return self.image_reader.channels

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._classes.names

    @property
    def mask_table(self) -> MaskTable | None:
        """What the values or colours of masks mean; None if they are the labels themselves."""
        return read if isinstance(read := self._classes.read, MaskTable) else None

    def samples(self, split: str) -> Sequence[Sample]:
        root, pairs = self._folder(), self._pairs[split]
        load = partial(load_pair, read=self._classes.read, read_image=self.image_reader)
        groups = [None] * len(pairs) if self.group is None else groups_of([pair.image for pair in pairs], self.group)
        return [
            Sample(str(root / image), partial(load, root / image, root / mask), str(root / mask), group)
            for (image, mask), group in zip(pairs, groups, strict=True)
        ]

    def assumptions(self) -> Sequence[str]:
        unused = self._layout.unused(self._folder(), [pair for part in self._pairs.values() for pair in part])
        notes = [f"files that are not used: {summary(unused)}"] if unused else []
        layout = f"images are {self._layout.images}, their masks {self._layout.masks}"
        return [*self._classes.said, layout, *self._division(), *notes]

    @cached_property
    def _classes(self) -> Classes:
        if Task.resolve(self.task).exclusive:
            return self._of_table()
        if self.labels is not None or self.colours is not None:
            raise InputError(
                f"data.source.labels and .colours: task={self.task} takes masks of 0 and 1: leave them out"
            )
        return in_layers(self._of_table(), self.ignore_index)

    def _of_table(self) -> Classes:
        classes: Any = self.classes
        if self.labels is None and self.colours is None:
            if classes is None:
                usual = Task.resolve(self.task).usual_classes
                return classes_in(self._folder(), self.ignore_index, self.unknown, usual)
            return plain_classes(classes, self.ignore_index)
        if classes is None and (path := self._folder() / NAMES_FILE).is_file():
            classes = read_class_names(path)
        entries = entries_of(classes, self.labels or (), self.colours or (), self.ignore_index)
        where = " with ".join(
            f"data.source.{name}" for name in ("labels", "colours") if getattr(self, name) is not None
        )
        return classes_of(entries, where, self.ignore_index, self.unknown)

    @property
    def image_reader(self) -> ImageReader:
        """Reads an image file as the settings say."""
        return ImageReader(self.bands, self.max_value, self.max_megapixels)

    @cached_property
    def _layout(self) -> Layout:
        if self.images is not None and self.masks is not None:
            return Layout(self.images, self.masks)
        return found_layout(self._folder())

    @cached_property
    def _pairs(self) -> dict[str, list[Pair]]:
        """The pairs of each split."""
        root, layout = self._folder(), self._layout
        if layout.has_splits:
            return layout.split_pairs(root)
        pairs = layout.pairs(root)
        paths = [pair.image for pair in pairs]
        if lists := self._lists_of(root):
            indices = by_lists(paths, lists)
        else:
            fractions = {"test": self.test_fraction, "val": self.val_fraction}
            groups = None if self.group is None else groups_of(paths, self.group)
            classes = self._classes_of(pairs) if self.stratify else None
            indices = at_random(len(paths), fractions, self.seed, self.block, groups, classes)
        return {split: [pairs[i] for i in indices[split]] for split in SPLITS}

    def _lists_of(self, root: Path) -> dict[str, Path]:
        """The files with the lists of the splits; empty if there are no lists."""
        if self.lists is not None:
            return {split: root / name for split, name in self.lists}
        files = {split: root / f"{split}.txt" for split in SPLITS}
        return {split: path for split, path in files.items() if path.is_file()} if files["train"].is_file() else {}

    def _classes_of(self, pairs: Sequence[Pair]) -> list[frozenset[int]]:
        """The classes that occur in each mask."""
        root, read, ignored = self._folder(), self._classes.read, {self.ignore_index}
        return map_in_threads(lambda pair: frozenset(present(read(root / pair.mask))) - ignored, pairs)

    def _division(self) -> list[str]:
        """How the images were divided, as a sentence."""
        if self._layout.has_splits:
            return []
        counts = ", ".join(f"{len(pairs)} {split}" for split, pairs in self._pairs.items())
        if lists := self._lists_of(self._folder()):
            return [f"{listed([path.name for path in lists.values()])} divide the images: {counts}"]
        together = (
            f" in groups by {self.group}" if self.group else f" in blocks of {self.block}" if self.block > 1 else ""
        )
        evenly = ", with its share of every class where that can be" if self.stratify else ""
        return [f"images are divided at random{together}{evenly} (seed {self.seed}): {counts}"]

    def _folder(self) -> Path:
        return existing_root(self.root, LAYOUT)


_FORMS = {
    "labels": "{0: background, 255: roof}",
    "colours": "{road: [128,64,128]}",
    "lists": "{train: train.txt, val: val.txt}",
}


def _checked_lists(lists: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for split in lists:
        if split not in SPLITS:
            raise unknown("split of data.source.lists", split, SPLITS)
    return tuple((split, str(path)) for split, path in lists.items())
