"""Augmentation: image and label stay together, every sample gets its own, labels stay labels."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from autosegloss.data import Augment
from autosegloss.data.transforms import MEAN, AugmentParams, affine_maps, normalise, warp
from autosegloss.errors import InputError


def pixels(count=4, height=12, width=16):
    """Labels that number the pixels of a row, and images that show the labels."""
    labels = torch.arange(height * width, dtype=torch.uint8).view(1, height, width).repeat(count, 1, 1)
    return labels[:, None].repeat(1, 3, 1, 1).float(), labels


def augmented(augment, count=4, seed=0, size=(12, 16)):
    images, labels = pixels(count)
    maps = affine_maps(augment.draw(count, np.random.default_rng(seed)), labels.shape[1:], size)
    return warp(images, labels, maps, size, ignore_index=255)


def test_the_mean_colour_becomes_zero():
    images = MEAN.round().byte().expand(2, 3, 4, 4)
    assert_close(normalise(images), torch.zeros(2, 3, 4, 4), atol=0.01, rtol=0)


def test_no_zoom_and_no_flip_change_nothing():
    images, labels = augmented(Augment(scale=(1, 1), flip=0))
    assert_close(images, pixels()[0], atol=1e-3, rtol=0)
    assert_close(labels, pixels()[1].long())


def test_a_flip_mirrors_left_and_right():
    images, labels = augmented(Augment(scale=(1, 1), flip=1))
    assert_close(images, pixels()[0].flip(-1), atol=1e-3, rtol=0)
    assert_close(labels, pixels()[1].long().flip(-1))


def test_half_of_the_samples_are_flipped_each_for_itself():
    _, labels = augmented(Augment(scale=(1, 1), flip=0.5), count=400)
    flipped = (labels[:, 0, 0] == 15).float().mean()
    assert 0.4 < flipped < 0.6


def test_zooming_in_cuts_a_window_out_without_padding():
    images, labels = augmented(Augment(scale=(2, 2), flip=0), count=50)
    assert (labels != 255).all()
    assert_close(images[:, 0, 1:-1, 1:-1], labels[:, 1:-1, 1:-1].float(), atol=9, rtol=0)
    assert len({tuple(label.flatten().tolist()) for label in labels}) > 10  # windows differ


def test_zooming_out_keeps_the_whole_image_in_padding():
    images, labels = augmented(Augment(scale=(0.5, 0.5), flip=0), count=50)
    inside = labels != 255
    assert (inside.sum((1, 2)) - 6 * 8).abs().max() <= 8 + 6 + 1  # a quarter of the pixels, up to a border
    assert (images[:, 0][~inside] < 191 * 0.51).all()  # beyond the border: less than half of any pixel's value
    assert (images[:, 0, 0, 0] == 0).any()
    assert len(inside.flatten(1).unique(dim=0)) > 10  # places differ


def test_labels_are_never_blended():
    images, labels = pixels(50)
    coarse = torch.where(labels < 96, 3, 200).byte()
    maps = affine_maps(Augment().draw(50, np.random.default_rng(0)), (12, 16), (12, 16))
    assert warp(images, coarse, maps, (12, 16), ignore_index=255)[1].unique().tolist() == [3, 200, 255]


def test_the_draws_are_a_function_of_the_generator_alone():
    torch.manual_seed(1)
    first = augmented(Augment(), seed=5)
    torch.manual_seed(2)
    np.random.seed(3)
    assert_close(first, augmented(Augment(), seed=5), rtol=0, atol=0)
    assert not torch.equal(first[1], augmented(Augment(), seed=6)[1])


def test_zooms_cover_the_range():
    maps = affine_maps(Augment(scale=(0.5, 2.0), flip=0).draw(2000, np.random.default_rng(0)), (12, 16), (12, 16))
    zooms = 1 / maps[:, 1, 1]
    assert 0.5 <= zooms.min() < 0.51
    assert 1.99 < zooms.max() <= 2.0
    assert_close(maps[:, 0, 0], maps[:, 1, 1])  # the same for both sides


def test_a_crop_is_a_window_of_the_image_at_its_own_scale():
    images, labels = augmented(Augment(scale=(1, 1), flip=0), count=60, size=(5, 6))
    assert images.shape == (60, 3, 5, 6)
    assert (labels != 255).all()
    # a window of whole pixels: neighbours differ by 1 to the right, by the width of the image downwards
    assert (labels.diff(dim=2) == 1).all()
    assert (labels.diff(dim=1) == 16).all()
    assert len(labels[:, 0, 0].unique()) > 20
    assert_close(images[:, 0], labels.float(), atol=9, rtol=0)  # between pixels: at most half a row and half a pixel


def test_a_crop_larger_than_the_image_holds_all_of_it_in_padding():
    _, labels = augmented(Augment(scale=(1, 1), flip=0), count=60, size=(20, 24))
    for label in labels:
        assert label[label != 255].tolist() == list(range(12 * 16))
    assert len((labels != 255).flatten(1).unique(dim=0)) > 20


def test_a_window_may_be_cut_in_one_direction_and_padded_in_the_other():
    _, labels = augmented(Augment(scale=(1, 1), flip=0), count=20, size=(6, 24))
    assert ((labels != 255).sum((1, 2)) == 6 * 16).all()


def test_a_zoomed_crop_is_zoomed():
    maps = affine_maps(Augment(scale=(2, 2), flip=0).draw(1, np.random.default_rng(0)), (100, 200), (50, 40))
    assert_close(maps[0, [0, 1], [0, 1]], torch.tensor([40 / 200 / 2, 50 / 100 / 2]))


def test_the_place_reaches_both_ends():
    ends = [AugmentParams(zoom=1.0, mirror=1.0, place=np.array([end, end])) for end in (-1.0, 1.0)]
    images, labels = pixels(2)
    _, labels = warp(images, labels, affine_maps(ends, (12, 16), (4, 5)), (4, 5), 255)
    assert (labels[0, 0, 0], labels[1, -1, -1]) == (0, 12 * 16 - 1)


@pytest.mark.parametrize("scale", [(0, 1), (2, 1), (1,), (-1, 1)])
def test_an_invalid_range_is_refused(scale):
    with pytest.raises(InputError, match=r"augment.scale must be \[low, high\]"):
        Augment(scale=scale)


def test_an_invalid_probability_is_refused():
    with pytest.raises(InputError, match=r"augment.flip must be a probability"):
        Augment(flip=50)
