"""Data whose files are all fine and whose whole is worthless: what is refused, and what is said."""

import shutil

import numpy as np
import pytest

from autosegloss.data import Sample
from autosegloss.data.survey import Masks, repeated, repeats_note, starts_at_one
from autosegloss.errors import InputError


def masks(*images: dict[int, int], classes: int = 3, ignore_index: int | None = 255, total: int | None = None) -> Masks:
    """Masks of {label: pixels}."""
    counts = np.zeros((len(images), 256), np.int64)
    for row, image in zip(counts, images, strict=True):
        row[list(image)] = list(image.values())
    names = [f"class {c}" for c in range(classes)]
    return Masks(counts, names, ignore_index, len(images) if total is None else total)


def test_masks_of_0_and_255_are_refused_with_the_remedy():
    with pytest.raises(
        InputError, match=r"are of class 0 \(class 0\), so that there is nothing to learn: 30% of the pixels"
    ):
        masks({0: 7, 255: 3}, {0: 7, 255: 3}, classes=2).check()
    with pytest.raises(InputError, match=r"set 'data.source.labels={0: 0, 255: 1}'$"):
        masks({0: 7, 255: 3}, classes=2).check()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([{1: 5}], {}, r"are of class 1 \(class 1\), .*: correct the masks or the classes"),
        ([{255: 5}], {}, "are ignored, so that there is nothing to learn: 100% of the pixels are 255"),
        ([{0: 5, 1: 5}], {"ignore_index": 0}, r"are of class 1 .*50% of the pixels are 0, .*labels={0: 0, 1: 1}"),
    ],
)
def test_one_class_is_nothing_to_learn(images, options, message):
    with pytest.raises(InputError, match=message):
        masks(*images, **options).check()


@pytest.mark.parametrize("total", [2, 1000])
def test_two_classes_are_enough_and_a_part_of_the_masks_proves_nothing(total):
    masks({0: 5}, {2: 1}, total=total).check()
    if total > 2:
        masks({0: 5}, {0: 1}, total=total).check()


def test_doubts_are_sentences():
    assert list(masks({0: 5, 1: 5}, {0: 5, 1: 5}).notes()) == [
        "no pixel in any training mask is of class 2 (class 2): the data cannot teach it"
    ]
    assert list(masks({0: 5, 1: 5}, {0: 5}, total=9).notes()) == [
        "no pixel in any of 2 training masks read is of class 2 (class 2): the data cannot teach it",
        "1 of 2 training masks hold a single class",
    ]
    assert list(masks({0: 5, 1: 1, 2: 1}, {0: 5, 1: 5}, {255: 1, 1: 1}).notes()) == []


def test_an_ignored_class_is_not_missed():
    assert list(masks({1: 5, 2: 5}, ignore_index=0).notes()) == []


@pytest.mark.parametrize(
    ("labels", "ignore_index", "said"),
    [
        ([0, 1, 2], 255, None),
        ([1, 2, 3, 255], 255, "the names are one off: set 'data.source.labels={1: 0, 2: 1, 3: 2}'"),
        ([1, 2], 255, "data.source.classes=2 'data.source.labels={1: 0, 2: 1}'"),
        ([1, 2], 0, None),
        ([2, 3], 255, None),
        ([1, 9], 255, None),
        ([], 255, None),
    ],
)
def test_ids_from_1_are_told(labels, ignore_index, said):
    pixels = np.zeros(256, np.int64)
    pixels[labels] = 1
    found = starts_at_one(pixels, ["a", "b", "c"], ignore_index)
    assert (said in found) if said else found is None


def test_images_in_two_sets_are_found_by_their_bytes(tmp_path):
    for name, content in {"a": b"one", "b": b"two", "c": b"three"}.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(tmp_path / "a", tmp_path / "d")
    sets = {
        "train": [Sample(str(tmp_path / name), lambda: None) for name in ("a", "b")],
        "val": [Sample(str(tmp_path / name), lambda: None) for name in ("c", "d")],
        "test": [Sample(str(tmp_path / "a"), lambda: None), Sample("shapes #1", lambda: None)],
    }
    pairs = repeated(sets)
    assert pairs == [(f"train: {tmp_path}/a", f"val: {tmp_path}/d"), (f"train: {tmp_path}/a", f"test: {tmp_path}/a")]
    assert repeats_note(pairs).startswith("2 images in two splits, which makes scores too good: train: ")
    assert repeated({"train": sets["train"], "val": []}) == []


def test_an_image_that_repeats_within_a_set_is_no_leak(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"one")
    same = [Sample(str(tmp_path / name), lambda: None) for name in ("a", "b")]
    assert repeated({"train": same, "val": []}) == []
