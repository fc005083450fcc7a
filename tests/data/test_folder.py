"""Folder: the samples it finds, and its error messages."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from autosegloss.data import Folder, SegmentationData
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import natural_key
from autosegloss.data.memory import decode
from autosegloss.errors import InputError


def names(source, split):
    return [sample.name.rsplit("/", 1)[-1] for sample in source.samples(split)]


def test_it_finds_pairs_in_natural_order(folder):
    source = Folder(folder, classes=2)
    assert names(source, "train") == [f"frame{i}.png" for i in range(12)]
    assert (len(source.samples("val")), source.samples("test")) == (3, [])


def test_a_pair_loads_as_uint8(folder):
    image, label = Folder(folder, classes=2).samples("train")[7].load()
    assert_close(image, torch.full((3, 8, 10), 7, dtype=torch.uint8))
    assert label.dtype == torch.uint8
    assert label[:, 0].tolist() == [0, 1, 255, 0, 1, 255, 0, 1]


def test_without_a_split_it_divides_by_seed(unsplit):
    source = Folder(unsplit, val_fraction=0.25, test_fraction=0.1)
    parts = [set(names(source, split)) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [13, 5, 2]
    assert len(set.union(*parts)) == 20
    assert names(source, "val") == names(Folder(unsplit, val_fraction=0.25, test_fraction=0.1), "val")
    assert set(names(Folder(unsplit, val_fraction=0.25, test_fraction=0.1, seed=1), "val")) != parts[1]


def test_a_split_of_fraction_0_is_empty(unsplit):
    assert Folder(unsplit, val_fraction=0).samples("val") == []


def test_class_names_come_from_the_file_the_list_or_the_number(unsplit):
    assert Folder(unsplit).class_names == ("sky", "road")
    assert Folder(unsplit, classes=["a", "b", "c"]).class_names == ("a", "b", "c")
    assert Folder(unsplit, classes=3).class_names == ("class 0", "class 1", "class 2")
    assert Folder(unsplit, classes=np.int64(2)).class_names == ("class 0", "class 1")


def test_sources_are_hashable_also_with_lists_from_a_config(unsplit):
    assert hash(Folder(unsplit, classes=["a", "b"])) == hash(Folder(unsplit, classes=("a", "b")))


def test_a_palette_mask_is_its_indices(tmp_path):
    mask = Image.new("P", (2, 1), 3)
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
    mask.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[3, 3]]


def test_numbers_sort_as_numbers():
    assert sorted(["a10b2", "a2", "b", "10", "a10b10", "9"], key=natural_key) == [
        "9",
        "10",
        "a2",
        "a10b2",
        "a10b10",
        "b",
    ]


def fails(source, match, split="train"):
    with pytest.raises(InputError, match=match) as caught:
        decode(source, split, None)
    assert "\n" not in str(caught.value)


def test_no_root():
    fails(Folder(None), r"set data.root=ROOT; expected ROOT/\{train,val,test\}/\{images,masks\}")


def test_missing_root(tmp_path):
    fails(Folder(tmp_path / "nowhere"), "no such folder: .*nowhere; set data.root=ROOT; expected ROOT/")


def test_another_layout(tmp_path):
    fails(Folder(tmp_path), "has no known layout: expected ROOT/")


def test_empty_folder(folder):
    for path in (folder / "train/images").iterdir():
        path.unlink()
    fails(Folder(folder, classes=2), "fits no image: expected files ending in .png .jpg .* found no file")


def test_unknown_number_of_classes(folder):
    fails(
        Folder(folder),
        "number of classes unknown: set data.source.classes=N, list .*classes.txt, one a line, or let .* check",
    )


def test_images_without_a_mask(folder):
    for i in (2, 3, 5, 10):
        (folder / f"train/masks/frame{i}.png").unlink()
    expected = (
        r"4 image\(s\) without a mask: .*frame2.png, .*frame3.png, .*frame5.png, \.\.\.; expected .*/frame2.png \("
    )
    fails(Folder(folder, classes=2), expected)


def test_a_mask_without_an_image_is_listed_as_not_used(folder):
    (folder / "train/images/frame4.png").unlink()
    source = Folder(folder, classes=2)
    assert len(source.samples("train")) == 11
    assert source.assumptions()[-1] == "files that are not used: 1 (1 .png): train/masks/frame4.png"


def test_two_images_of_one_name(folder, files):
    files[0](folder / "train/images/frame4.jpg")
    fails(Folder(folder, classes=2), "two images of one mask train/masks/frame4.png: .*frame4.jpg and .*frame4.png")


def test_an_unreadable_file(folder):
    (folder / "train/images/frame4.png").write_bytes(b"not a picture")
    fails(Folder(folder, classes=2), "images/frame4.png: cannot be read as an image")


def test_a_truncated_file(folder):
    path = folder / "train/masks/frame4.png"
    path.write_bytes(path.read_bytes()[:50])
    fails(Folder(folder, classes=2), "masks/frame4.png: cannot be read as an image")


def test_a_mask_in_colours(folder, files):
    Image.new("RGB", (10, 8), (9, 0, 0)).save(folder / "train/masks/frame4.png")
    fails(
        Folder(folder, classes=2), r"masks/frame4.png: the mask is in colours, and no table .* data.source.colours=\{"
    )


def test_a_mask_of_another_size(folder, files):
    files[1](folder / "train/masks/frame4.png", size=(8, 9))
    fails(Folder(folder, classes=2), "images/frame4.png has 8x10, .*masks/frame4.png has 8x9")


def test_an_invalid_label(folder, files):
    files[1](folder / "train/masks/frame4.png", values=(0, 2, 7, 255))
    fails(
        Folder(folder, classes=2),
        "train/masks/frame4.png: label 2, 7 is no class: expected 0..1, or 255 for pixels to ign",
    )


def test_images_of_different_sizes(folder, files):
    for kind, write in zip(("images", "masks"), files, strict=True):
        write(folder / f"train/{kind}/frame4.png", size=(6, 10))
    fails(Folder(folder, classes=2), r"frame0.png has 8x10, .*frame4.png has 6x10 .* set data.size=\[H,W\]")


def test_fractions_that_leave_nothing(unsplit):
    fails(Folder(unsplit, val_fraction=0.5, test_fraction=0.5), "leave nothing to train on")


@pytest.mark.parametrize("fractions", [{"val_fraction": -0.1, "test_fraction": 0.3}, {"val_fraction": "some"}])
def test_invalid_fractions(unsplit, fractions):
    fails(Folder(unsplit, **fractions), "must be fractions of 0 or more whose sum is below 1")


@pytest.mark.parametrize("setting", [{"seed": -1}, {"block": 0}, {"block": 1.5}])
def test_an_invalid_seed_or_block(unsplit, setting):
    fails(Folder(unsplit, **setting), f"{next(iter(setting))}: expected an integer of [01] or more")


@pytest.mark.parametrize("classes", [3.0, 0, -1, "3", True])
def test_an_invalid_number_of_classes(unsplit, classes):
    with pytest.raises(InputError, match=r"classes: expected an integer of 1 or more, got"):
        Folder(unsplit, classes=classes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 1}, "classes=1: one class leaves nothing to tell apart"),
        ({"classes": 257}, "expected 256 classes or fewer, got 257"),
        ({"classes": 256}, "256 classes, and ignore_index=255 ignores the last: set .*ignore_index=null"),
        ({"classes": 2, "ignore_index": 256}, "ignore_index: expected 0 to 255, or null, got 256"),
        ({"classes": 2, "ignore_index": -1}, "ignore_index: expected an integer of 0 or more"),
        ({"classes": 2, "unknown": "keep"}, "unknown data.source.unknown 'keep': choose one of error, ignore"),
        ({"classes": 2, "images": "*.png"}, "images and data.source.masks go together"),
    ],
)
def test_settings_that_labels_of_8_bits_cannot_have(folder, settings, message):
    with pytest.raises(InputError, match=message):
        Folder(folder, **settings).class_names  # noqa: B018


@pytest.mark.parametrize("classes", [2, 255, 256])
def test_without_an_ignored_value_every_mask_value_is_a_class(folder, classes):
    source = Folder(folder, classes=classes, ignore_index=None)
    if classes < 256:
        fails(source, f"label 255 is no class: expected 0..{classes - 1}; correct")
    else:
        assert len(decode(source, "train", None)) == 12
    padding = SegmentationData(source, size=None, batch_size=2).ignore_index
    assert padding == max(255, classes)


@pytest.mark.parametrize(("classes", "message"), [([], "no class is named"), (["a", "b", "a"], "twice: a")])
def test_an_invalid_list_of_classes(unsplit, classes, message):
    with pytest.raises(InputError, match=f"classes: .*{message}"):
        Folder(unsplit, classes=classes)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no class is named"), (b"sky\nroad\nsky\n", "twice: sky"), (b"B\xe4ume\n", "not UTF-8")],
)
def test_an_invalid_file_of_classes(unsplit, content, message):
    (unsplit / "classes.txt").write_bytes(content)
    fails(Folder(unsplit), f"classes.txt: .*{message}")
