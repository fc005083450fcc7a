"""What a program says about its data before it trains."""

import shutil

import pytest
from PIL import Image

from autosegloss.data import Folder, SegmentationData, Shapes
from autosegloss.data import notes as said
from autosegloss.data.notes import doubts
from autosegloss.errors import InputError


def data(source, **options) -> SegmentationData:
    return SegmentationData(source, **{"size": None, "batch_size": 2, **options})


@pytest.fixture
def sound(tmp_path):
    """Six images of two classes and four to validate on, no two alike."""
    for split, count in (("train", 6), ("val", 4)):
        for i in range(count):
            for kind in ("images", "masks"):
                (tmp_path / split / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (i, count, 0)).save(tmp_path / split / "images" / f"{i}.png")
            mask = Image.new("L", (8, 8), 0)
            mask.paste(1, (0, 0, 4, 8))
            mask.save(tmp_path / split / "masks" / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("options", [{}, {"crop": 4}, {"size": 4}, {"holdout": 2}], ids=str)
def test_sound_data_raise_no_doubt(sound, options):
    source = Folder(sound, classes=2)
    assert doubts(data(source, **options)) == []


def test_generated_data_say_nothing():
    assert doubts(data(Shapes(train=8, val=4), holdout=2)) == []


@pytest.mark.parametrize("options", [{}, {"crop": 4}], ids=["memory", "disk"])
def test_worthless_data_are_refused(sound, options):
    for mask in (sound / "train/masks").iterdir():
        Image.open(mask).point(lambda value: 255 * value).save(mask)
    with pytest.raises(InputError, match=r"nothing to learn: 50% of the pixels are 255, .* set 'data.source.labels"):
        doubts(data(Folder(sound, classes=2), **options))


def test_of_many_masks_on_disk_some_are_looked_at(sound, monkeypatch):
    monkeypatch.setattr(said, "READ", 3)
    found = doubts(data(Folder(sound, classes=3), crop=4))
    assert "no pixel in any of 3 training masks read is of class 2 (class 2): the data cannot teach it" in found
    assert "no pixel in any training mask is of class 2 (class 2): the data cannot teach it" in doubts(
        data(Folder(sound, classes=3))
    )


def test_an_image_that_is_held_out_and_trained_on_is_told(sound):
    source = Folder(sound, classes=2)
    kept, held = data(source, holdout=2).parts
    shutil.copy(source.samples("train")[kept[0]].name, source.samples("train")[held[0]].name)
    assert "1 image in two splits" in doubts(data(source, holdout=2))[-1]
    assert doubts(data(source)) == []


def test_palettes_that_differ_are_told_unless_masks_are_read_by_colours(sound):
    for i, mask in enumerate(sorted((sound / "train/masks").iterdir())):
        with Image.open(mask) as grey:
            palette = grey.convert("P")
        palette.putpalette([i, 0, 0, 9, 9, 9])
        palette.save(mask)
    assert "masks have different palettes, as " in doubts(data(Folder(sound, classes=2)))[0]
    colours = {"a": [[i, 0, 0] for i in range(6)], "b": [[9, 9, 9], [1, 1, 1]]}
    assert doubts(data(Folder(sound, colours=colours))) == []
