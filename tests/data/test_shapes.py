"""Shapes: the same everywhere and always, all classes in it, some of them rare."""

import hashlib

import pytest
import torch
from torch.testing import assert_close

from autosegloss.data import Shapes
from autosegloss.errors import InputError


def load(source, split):
    images, labels = zip(*(sample.load() for sample in source.samples(split)), strict=True)
    return torch.stack(images), torch.stack(labels)


def test_the_bits_of_a_scene_never_change():
    """Results measured on it would change their meaning with the data."""
    image, label = Shapes().samples("val")[3].load()
    digest = hashlib.sha256(image.numpy().tobytes() + label.numpy().tobytes()).hexdigest()
    assert digest[:16] == "147ee070e03754ad"


def test_scenes_are_uint8_of_the_given_size():
    image, label = Shapes(size=40).samples("train")[0].load()
    assert (image.shape, label.shape) == ((3, 40, 40), (40, 40))
    assert (image.dtype, label.dtype) == (torch.uint8, torch.uint8)


def test_the_splits_have_their_sizes_and_share_no_scene():
    source = Shapes(train=5, val=4, test=3)
    splits = [load(source, split)[0] for split in ("train", "val", "test")]
    assert [len(images) for images in splits] == [5, 4, 3]
    assert len({image.numpy().tobytes() for images in splits for image in images}) == 12


def test_another_seed_is_another_data_set_and_the_same_seed_the_same():
    first, again, other = (load(Shapes(train=2, seed=seed), "train") for seed in (0, 0, 1))
    assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_class_occurs_and_the_rare_ones_are_rare(split):
    source = Shapes(train=100, val=100, test=100)
    labels = load(source, split)[1]
    shares = dict(zip(source.class_names, torch.bincount(labels.flatten().long()) / labels.numel(), strict=True))
    assert 0.75 < shares["background"] < 0.9
    for rare in ("ring", "cross", "wire"):
        assert 0.005 < shares[rare] < 0.03
    for common in ("disc", "square"):
        assert shares[common] > 2.5 * shares["ring"]


@pytest.mark.parametrize(
    "setting", [{"size": 0}, {"size": 8.5}, {"train": 0}, {"train": 2.0}, {"val": -1}, {"test": -1}, {"seed": -1}]
)
def test_settings_must_be_whole_numbers(setting):
    with pytest.raises(InputError, match=f"{next(iter(setting))}: expected an integer of [01] or more"):
        Shapes(**setting)
