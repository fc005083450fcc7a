"""The contract of a loss, over every loss in conf/loss."""

from contextlib import nullcontext
from copy import deepcopy

import pytest
import torch
from helpers.laws import batch, value_and_gradient
from helpers.loss_members import NAMES, SURROGATES, every_loss, made
from hydra.errors import InstantiationException
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from autosegloss.errors import InputError
from autosegloss.losses import LibraryLoss


def squares(size=18):
    """Labels (2, H, W) of two squares on a background, some pixels ignored, and another image."""
    labels = torch.zeros(2, size, size, dtype=torch.long)
    labels[0, 3:9, 4:11], labels[0, 11:16, 7:15], labels[0, :2, :2] = 1, 2, 255
    labels[1, :, :8], labels[1, 10:, 5:14] = 1, 2
    return labels


def one_hot(labels, num_classes=3):
    """Maps (N, C, H, W), float, empty where ignored."""
    return torch.stack([labels == c for c in range(num_classes)], dim=1).float()


@every_loss
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**31), ignored=st.sampled_from([0.1, 0.5, 0.98]))
def test_ignored_pixels_change_neither_value_nor_gradient(name, seed, ignored):
    logits, labels = batch((2, 7, 8), ignored=ignored, seed=seed)
    empty = (labels == 255).unsqueeze(1)
    value, gradient = value_and_gradient(made(name), logits, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()
    for junk in (torch.nan, torch.inf, 50.0):
        other = value_and_gradient(made(name), logits.masked_fill(empty, junk), labels)
        assert_close(other, (value, gradient), rtol=0, atol=0)
    assert gradient.masked_select(empty).eq(0).all()


# SSIM compares windows: ignored pixels are 0 in both maps and make windows across them more alike
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("ssim")])
def test_an_ignored_margin_is_no_margin(name):
    logits, labels = batch((2, 7, 8))
    wide = nn.functional.pad(logits, (0, 5, 0, 3), value=1.0), nn.functional.pad(labels, (0, 5, 0, 3), value=255)
    assert_close(made(name)(*wide), made(name)(logits, labels))


@every_loss
def test_a_batch_that_is_all_ignored_has_loss_0_and_gradient_0(name):
    logits, labels = batch()
    for anything in (logits, logits * torch.nan):
        value, gradient = value_and_gradient(made(name), anything, torch.full_like(labels, 255))
        assert value.shape == ()
        assert value == 0
        assert gradient.eq(0).all()


@every_loss
def test_the_order_of_the_images_changes_nothing(name):
    logits, labels = batch((3, 7, 8))
    order = [2, 0, 1]
    assert_close(made(name)(logits[order], labels[order]), made(name)(logits, labels))


@every_loss
def test_half_precision_is_computed_in_float32(name):
    logits, labels = batch()
    for dtype in (torch.float16, torch.bfloat16):
        rounded = logits.to(dtype)
        value, gradient = value_and_gradient(made(name), rounded.float(), labels)
        halved = deepcopy(made(name)).to(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            for loss in (made(name), halved):
                low, low_gradient = value_and_gradient(loss, rounded, labels)
                assert_close(low, value, rtol=0, atol=0)
                assert_close(low_gradient, gradient.to(dtype))


HALF = {torch.float16: 2e-3, torch.bfloat16: 2e-2}


@every_loss
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF], ids=str)
def test_logits_of_any_precision_give_the_loss_in_float32_at_least(name, dtype):
    logits, labels = batch()
    expected = value_and_gradient(made(name), logits.to(dtype).float(), labels)
    for context in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        with context:
            value, gradient = value_and_gradient(made(name), logits.to(dtype), labels)
        assert value.dtype in (torch.float32, torch.promote_types(dtype, torch.float32))
        assert_close(value.float(), expected[0])
        assert_close(gradient, expected[1].to(dtype), rtol=HALF.get(dtype, 1e-4), atol=1e-6)


@every_loss
def test_a_training_in_double_precision_has_the_same_loss(name):
    """Lightning makes float64 the default for it; the loss is made under that default."""
    logits, labels = batch()
    torch.set_default_dtype(torch.float64)
    try:
        value, gradient = value_and_gradient(made.__wrapped__(name), logits.double(), labels)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_close((value.float(), gradient.float()), value_and_gradient(made(name), logits, labels))


@every_loss
def test_saturated_logits_have_finite_gradients(name):
    logits, labels = batch()
    value, gradient = value_and_gradient(made(name), logits.sign() * 1e4, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_a_perfect_prediction_has_the_least_loss(name):
    labels = squares()
    perfect = 60 * one_hot(labels) - 30
    least = made(name)(perfect, labels)
    assert_close(least.item(), 0.0, rtol=0, atol=1e-4)
    one_class = torch.full_like(perfect, -30)
    one_class[:, 0] = 30
    for other in (perfect.roll(2, -1), perfect.roll(1, 1), one_class, perfect / 60, torch.zeros_like(perfect)):
        assert made(name)(other, labels) > least + 0.01


@every_loss
def test_descent_on_free_logits_leads_to_the_truth(name):
    """The loss falls; the labels follow, except for BF1, which depends on boundaries alone."""
    labels, seen = squares(), squares() != 255
    logits = (0.1 * torch.randn(2, 3, 18, 18, generator=torch.Generator().manual_seed(0))).requires_grad_()
    before, optimizer = made(name)(logits, labels).item(), torch.optim.SGD([logits], lr=1.0)
    for _ in range(10):
        gradient = torch.autograd.grad(made(name)(logits, labels), logits)[0]
        logits.grad = gradient / gradient.abs().max().clamp_min(1e-12)  # the losses differ in scale
        optimizer.step()
    assert made(name)(logits, labels) < 0.7 * before
    if name != "searched_bf1":
        assert (logits.argmax(1) == labels)[seen].float().mean() > 0.9  # the share of the most frequent class is 0.58


# test_formulas.py has this test of the surrogates; the Lovász loss of smp computes in float32 only
@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*SURROGATES, "lovasz")])
def test_gradients_agree_with_finite_differences(name):
    logits, labels = batch((2, 6, 7), seed=3)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: made(name)(x, labels), logits, eps=1e-6, atol=1e-5, fast_mode=True)


@every_loss
def test_what_does_not_fit_is_refused(name):
    logits, labels = batch()
    with pytest.raises(InputError, match="must lie in"):
        made(name)(logits, labels.where(labels != 2, 3))
    with pytest.raises(InputError, match="of the same shape without C"):
        made(name)(logits, labels[:, 1:])
    with pytest.raises(InputError, match=r"2 classes or more, got 1: .* make two channels"):
        made(name)(logits[:, :1], labels)
    with pytest.raises(InputError, match=r"expected torch tensors, got numpy.ndarray"):
        made(name)(logits, labels.numpy())
    with pytest.raises(InstantiationException, match="ignore_index: expected an integer"):
        made(name, 1.5)


@every_loss
def test_labels_may_be_of_any_integer_type(name):
    logits, labels = batch()
    for dtype in (torch.uint8, torch.uint16, torch.int32, torch.uint32):
        assert_close(made(name)(logits, labels.to(dtype)), made(name)(logits, labels), rtol=0, atol=0)


class Product(nn.Module):
    """A loss that autocast computes in half precision."""

    def __init__(self, ignore_index):
        super().__init__()

    def forward(self, logits, labels):
        return (logits.flatten(1) @ logits.flatten(1).T).sum()


def test_a_loss_of_a_library_is_kept_from_autocast():
    logits, labels = batch()
    seen = logits.where((labels != 255).unsqueeze(1), 0)
    with torch.autocast("cpu", torch.bfloat16):
        value = LibraryLoss(Product)(logits, labels)
    assert_close(value, Product(255)(seen, labels))
