"""Min and max pooling that knows neither border nor ignored pixels, and its gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.testing import assert_close

from autosegloss.algebra.morphology import dilate, erode


@st.composite
def masks(draw):
    """(m, valid): a bool map within a valid region, in 2 or 3 dimensions; ignored pixels are empty."""
    shape = draw(st.lists(st.integers(1, 8), min_size=2, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    m = rng.random((2, 3, *shape)) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    valid = rng.random((2, 1, *shape)) < draw(st.sampled_from([0.5, 0.9, 1.0]))
    return torch.as_tensor(m & valid), torch.as_tensor(valid)


def window(size, m):
    return (1, 1, *(size if isinstance(size, tuple) else [size] * (m.ndim - 2)))


def of_axes(size, m):
    """A size as it is, or of three sides those for the axes of a map."""
    return size[-(m.ndim - 2) :] if isinstance(size, tuple) else size


sizes = st.sampled_from([1, 3, 5, 11, (1, 3, 5), (5, 1, 3), (3, 11, 1)])


@settings(max_examples=40, deadline=None)
@given(masks(), sizes)
def test_dilate_is_the_maximum_of_the_window(mask, size):
    m, _ = mask
    size = of_axes(size, m)
    expected = ndimage.maximum_filter(m.numpy(), window(size, m), mode="constant", cval=0)
    result = dilate(m, size)
    assert result.dtype == torch.bool
    assert result.equal(torch.as_tensor(expected))
    grey = torch.rand(m.shape, generator=torch.Generator().manual_seed(0)) * m
    expected = ndimage.maximum_filter(grey.numpy(), window(size, m), mode="constant", cval=0)
    assert_close(dilate(grey, size), torch.as_tensor(expected))


@settings(max_examples=40, deadline=None)
@given(masks(), sizes)
def test_erode_is_the_minimum_of_the_valid_part_of_the_window(mask, size):
    m, valid = mask
    size = of_axes(size, m)
    filled = (m | ~valid).numpy()
    expected = torch.as_tensor(ndimage.minimum_filter(filled, window(size, m), mode="constant", cval=1))
    result = erode(m, size, valid)
    assert result.dtype == torch.bool
    assert (result & valid).equal(expected & valid)
    soft = erode(m.float(), size, valid)
    assert_close(soft * valid, (expected & valid).float())
    grey = torch.rand(m.shape, generator=torch.Generator().manual_seed(0)) * m
    filled = torch.where(valid, grey, 1).numpy()
    expected = torch.as_tensor(ndimage.minimum_filter(filled, window(size, m), mode="constant", cval=1))
    assert_close(erode(grey, size, valid) * valid, expected * valid)


def test_neither_the_border_nor_an_ignored_region_erodes():
    valid = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    valid[..., 3:5, 2:6] = False
    full = valid.clone()
    assert (erode(full, 5, valid) | ~valid).all()
    assert_close(erode(full.float(), 5, valid) * valid, valid.float())


def test_pooling_has_a_gradient():
    rng = torch.Generator().manual_seed(0)
    m = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=rng).requires_grad_()
    valid = torch.rand(1, 1, 5, 6, generator=rng) < 0.8
    assert torch.autograd.gradcheck(lambda m: (dilate(m * valid, 3), erode(m * valid, 3, valid)), m)


@pytest.mark.parametrize("share", [0.05, 1.0], ids=["sparse", "dense"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.sampled_from([3, 5, 11, (1, 5), (7, 3)]))
def test_the_gradient_of_pooling_is_that_of_the_first_highest_pixel(share, seed, size):
    generator = torch.Generator().manual_seed(seed)
    m, upstream = torch.rand(2, 2, 2, 7, 9, generator=generator, dtype=torch.float64)
    upstream = upstream * (torch.rand(upstream.shape, generator=generator) < share)
    m.requires_grad_()
    (gradient,) = torch.autograd.grad(dilate(m, size), m, upstream)
    padding = tuple(side // 2 for side in window(size, m)[2:])
    reference = torch.nn.functional.max_pool2d(m, size, stride=1, padding=padding)
    assert_close(gradient, torch.autograd.grad(reference, m, upstream)[0])


@pytest.mark.parametrize("share", [0.05, 1.0], ids=["sparse", "dense"])
def test_the_gradient_of_a_box_in_a_volume(share):
    generator = torch.Generator().manual_seed(0)
    m, upstream = torch.rand(2, 2, 2, 4, 7, 9, generator=generator, dtype=torch.float64)
    upstream = upstream * (torch.rand(upstream.shape, generator=generator) < share)
    m.requires_grad_()
    (gradient,) = torch.autograd.grad(dilate(m, (1, 3, 5)), m, upstream)
    reference = torch.nn.functional.max_pool3d(m, (1, 3, 5), stride=1, padding=(0, 1, 2))
    assert_close(gradient, torch.autograd.grad(reference, m, upstream)[0])


def test_a_box_of_equal_sides_is_a_cube():
    m = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    assert dilate(m, (3, 3)).equal(dilate(m, 3))


@pytest.mark.parametrize("size", [(3,), (3, 3, 3), (3, 2), (3, -1), (), (3, 1.0)])
def test_a_box_that_does_not_fit_is_refused(size):
    with pytest.raises(TypeError, match="the size of a window must be"):
        dilate(torch.rand(1, 1, 5, 5), size)
