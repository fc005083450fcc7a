"""Colour augmentation: each change against its definition, on colours with a known answer."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from autosegloss.data import Augment, Colours, SegmentationData, Shapes
from autosegloss.data.colours import YIQ, recolour
from autosegloss.data.transforms import MEAN, STD, normalise
from autosegloss.errors import InputError

NONE = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "probability": 1}


def draws(count=500, seed=0, **amounts):
    return Colours(**{**NONE, **amounts}).draw(count, np.random.default_rng(seed))


def applied(colour, maps):
    image = torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1).expand(len(maps), 3, 1, 1)
    return recolour(image, maps)[:, :, 0, 0]


def test_without_amounts_nothing_changes():
    images = torch.randint(0, 256, (3, 3, 4, 5), dtype=torch.uint8)
    assert_close(recolour(images, draws(3)), images.float(), atol=1e-3, rtol=0)


def test_brightness_adds_the_same_to_all_channels():
    shift = applied((100, 120, 140), draws(brightness=32)) - torch.tensor([100.0, 120, 140])
    assert_close(shift[:, 0], shift[:, 2])
    assert -32 <= shift.min() < -30
    assert 30 < shift.max() <= 32


def test_contrast_multiplies():
    factor = applied((40, 80, 120), draws(contrast=0.5)) / torch.tensor([40.0, 80, 120])
    assert_close(factor[:, 0], factor[:, 2])
    assert 0.5 <= factor.min() < 0.52
    assert 1.48 < factor.max() <= 1.5


def test_saturation_moves_towards_and_away_from_grey_of_the_same_brightness():
    colour = (100, 140, 120)
    grey = 0.299 * 100 + 0.587 * 140 + 0.114 * 120
    factor = (applied(colour, draws(saturation=0.5)) - grey) / (torch.tensor(colour) - grey)
    assert_close(factor[:, 0], factor[:, 1], atol=1e-2, rtol=0)
    assert 0.5 <= factor[:, 0].min() < 0.52
    assert 1.48 < factor[:, 0].max() <= 1.51


def test_saturation_and_hue_leave_grey_alone():
    assert_close(applied((90, 90, 90), draws(saturation=0.5, hue=36)), torch.full((500, 3), 90.0), atol=0.1, rtol=0)


def test_hue_rotates_the_colour_by_about_its_angle():
    """Compared with the hue of HSV, whose circle differs from that of YIQ."""

    def hue(rgb):
        return colorsys.rgb_to_hsv(*rgb)[0] * 360

    colours = applied((150, 100, 100), draws(hue=36))
    turned = [(hue(rgb) + 180) % 360 - 180 for rgb in (colours / 255).tolist()]  # from pure red, hue 0
    assert -55 < min(turned) < -25
    assert 25 < max(turned) < 55
    brightness = colours @ torch.tensor(YIQ[0], dtype=torch.float32)
    assert_close(brightness, torch.full((500,), 0.299 * 150 + 0.701 * 100), atol=0.1, rtol=0)


def test_each_change_has_its_probability():
    maps = draws(2000, brightness=32, contrast=0.5, probability=0.5)
    assert 0.45 < (maps[:, 0, 0] == 1).float().mean() < 0.55  # no contrast
    assert 0.45 < (maps[:, 0, 3] == 0).float().mean() < 0.55  # no brightness


@given(st.integers(0, 2**32), st.tuples(*[st.integers(0, 255)] * 3))
def test_values_stay_in_range(seed, colour):
    result = applied(colour, Colours().draw(4, np.random.default_rng(seed)))
    assert result.min() >= 0
    assert result.max() <= 255


def test_they_come_before_normalisation():
    images = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    maps = draws(1, contrast=0.5)
    assert_close(normalise(images, maps), (recolour(images, maps) - MEAN) / STD)


def test_they_change_nothing_else_of_a_training():
    """Order, zoom and place are those of a training without colours; labels are the same."""
    batches = [
        list(SegmentationData(Shapes(train=8, size=16), None, 4, augment=Augment(colours=colours)).train_dataloader())
        for colours in (None, Colours())
    ]
    for (images, labels), (coloured, same) in zip(*batches, strict=True):
        assert_close(labels, same)
        assert not torch.equal(images, coloured)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue", "probability"])
@pytest.mark.parametrize("value", [-0.1, 300, "0.5", None, True])
def test_an_invalid_amount(name, value):
    with pytest.raises(InputError, match=rf"augment.colours.{name} must be a number from 0 to"):
        Colours(**{name: value})
