"""Images of any size that stay on disk: windows to train on, whole images to validate on."""

import pickle

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from autosegloss.data import Augment, Folder, SegmentationData
from autosegloss.data.disk import DiskSplit
from autosegloss.data.transforms import MEAN, STD
from autosegloss.errors import InputError

SIZES = [(8, 10), (12, 9), (20, 20), (5, 30)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSEGLOSS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sizes(tmp_path, files):
    """root/{train,val}/{images,masks} of four sizes; an image has its number as value."""
    write_image, write_mask = files
    for split in ("train", "val"):
        for i, size in enumerate(SIZES):
            write_image(tmp_path / split / "images" / f"{i}.png", size, value=100 + i)
            write_mask(tmp_path / split / "masks" / f"{i}.png", size)
    return Folder(tmp_path, classes=2)


def make(source, **settings):
    return SegmentationData(**{"source": source, "size": None, "crop": (6, 7), "batch_size": 2, **settings})


def numbers(images):
    return (images * STD + MEAN)[:, 0].round().int() - 100


def test_training_batches_are_windows_of_one_size(sizes):
    batches = list(make(sizes).train_dataloader())
    assert [tuple(images.shape) for images, _ in batches] == [(2, 3, 6, 7)] * 2
    assert [tuple(labels.shape) for _, labels in batches] == [(2, 6, 7)] * 2
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    inside = numbers(images)[:, 3, 3].tolist()  # in the middle there is no padding
    assert sorted(inside) == [0, 1, 2, 3]
    assert set(labels.unique().tolist()) <= {0, 1, 255}


def test_an_image_is_validated_on_at_its_own_size(sizes):
    shapes = [tuple(labels.shape[1:]) for [(_, labels)] in make(sizes, eval_batch_size=1).val_dataloader()]
    assert shapes == SIZES


def test_images_of_different_sizes_are_not_padded_within_a_batch(sizes):
    (batch,) = make(sizes, eval_batch_size=4).val_dataloader()
    for k, (images, labels) in enumerate(batch):
        assert (images.shape, labels.shape) == ((1, 3, *SIZES[k]), (1, *SIZES[k]))
        assert_close(labels[0], sizes.samples("val")[k].load()[1].long())
        assert (numbers(images) == k).all()


def test_the_seed_decides_the_windows_and_workers_change_nothing(sizes):
    settings = {"augment": Augment(), "batch_size": 4}
    first = list(make(sizes, **settings).train_dataloader())
    assert_close(list(make(sizes, num_workers=1, **settings).train_dataloader()), first, rtol=0, atol=0)
    assert not torch.equal(next(iter(make(sizes, seed=1, **settings).train_dataloader()))[0], first[0][0])


def test_size_and_crop_exclude_each_other(sizes):
    with pytest.raises(
        InputError, match=r"data.size=\[8, 8\] resizes .*data.crop=\[6, 7\] cuts .* set one of them to null"
    ):
        make(sizes, size=8)


def test_an_invalid_crop(sizes):
    with pytest.raises(InputError, match=r"data.crop must be H, \[H,W\]"):
        make(sizes, crop=[0, 3])


def test_an_invalid_label_is_refused_when_it_is_read(sizes, files):
    _, write_mask = files
    write_mask(sizes.root / "val" / "masks" / "2.png", SIZES[2], values=(0, 7))
    with pytest.raises(InputError, match=r"2.png: label 7 is no class: expected 0..1"):
        list(make(sizes).val_dataloader())


def counted(source):
    """The number of pixels of each class, counted by numpy."""
    labels = np.concatenate([sample.load()[1].numpy().ravel() for sample in source.samples("train")])
    return [int((labels == c).sum()) for c in range(source.num_classes)]


def test_pixels_of_the_classes_are_counted(sizes):
    assert make(sizes).class_counts().tolist() == counted(sizes)


def test_they_are_counted_in_memory_too(folder):
    source = Folder(folder, classes=2)
    data = SegmentationData(source, None, 2)
    assert data.class_counts().tolist() == counted(source)
    held = SegmentationData(source, None, 2, holdout=4)
    per_image = torch.tensor(counted(source)) // 12
    assert held.class_counts().tolist() == (per_image * 8).tolist()


def test_they_are_counted_once(sizes, cache):
    first = make(sizes).class_counts()
    assert len(list(cache.rglob("*.json"))) == 1
    for image in (sizes.root / "train" / "images").iterdir():
        image.write_bytes(b"")  # reading it again would fail
    assert_close(make(sizes).class_counts(), first)


def test_they_are_counted_again_where_a_mask_or_the_part_changes(sizes, files):
    _, write_mask = files
    first = make(sizes).class_counts()
    assert not torch.equal(make(sizes, holdout=1).class_counts(), first)
    write_mask(sizes.root / "train" / "masks" / "2.png", SIZES[2], values=(1,))
    assert make(sizes).class_counts().tolist() == counted(sizes) != first.tolist()


def test_a_cache_that_cannot_be_written_costs_time_only(sizes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTOSEGLOSS_CACHE", str(tmp_path / "file"))
    assert make(sizes).class_counts().tolist() == counted(sizes)


def test_workers_can_be_given_the_split(sizes):
    split = pickle.loads(pickle.dumps(DiskSplit(sizes, "train")))
    assert len(split) == 4
