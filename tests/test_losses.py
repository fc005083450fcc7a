"""The values of the losses in conf/loss, and the errors for invalid settings."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers import loss_references as slow
from helpers.laws import batch
from helpers.loss_members import COUNTS, made
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.errors import InputError
from autosegloss.losses import LibraryLoss, SSIMLoss, WeightedCrossEntropy, WeightedSum
from autosegloss.losses.distance_penalty import closeness

# Values


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("name", slow.REFERENCES)
def test_a_loss_is_its_definition(name, ignored):
    logits, labels = batch((2, 8, 7), ignored=ignored)
    expected = slow.REFERENCES[name](logits.double().numpy(), labels.numpy())
    assert_close(made(name)(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["jaccard", "dice"])
def test_an_absent_class_adds_nothing(name):
    logits, labels = batch((2, 8, 7), num_classes=5)
    labels = labels.where((labels < 3) | (labels == 255), 0)
    expected = slow.REFERENCES[name](logits.double().numpy(), labels.numpy())
    assert_close(made(name)(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("counts", [COUNTS, [7, 0, 100]])
def test_weighted_cross_entropy_is_its_definition(counts):
    logits, labels = batch()
    labels = labels.where(labels != 1, 0)
    loss = WeightedCrossEntropy()
    loss.measure(torch.tensor(counts))
    expected = slow.weighted_cross_entropy(logits.double().numpy(), labels.numpy(), slow.class_weights(counts))
    assert_close(loss(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


def test_measured_weights_average_to_1_over_the_pixels_and_share_them_among_the_classes():
    loss = WeightedCrossEntropy()
    loss.measure(torch.tensor([6_000_000_000, 0, 2, 500]))
    weighted = np.array([6e9, 0, 2, 500]) * loss.weights
    assert_close(weighted.sum() / (6e9 + 502), 1.0)
    assert loss.weights[1] == 0
    np.testing.assert_allclose(weighted[[0, 2, 3]], weighted[0])


def test_given_weights_are_not_measured_again():
    loss = WeightedCrossEntropy(weights=[1, 2, 3])
    loss.measure(torch.tensor(COUNTS))
    logits, labels = batch()
    expected = slow.weighted_cross_entropy(logits.double().numpy(), labels.numpy(), [1, 2, 3])
    assert_close(loss(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


def test_equal_weights_are_plain_cross_entropy():
    logits, labels = batch()
    expected = nn.CrossEntropyLoss(ignore_index=255)(logits, labels)
    assert_close(WeightedCrossEntropy(weights=[1, 1, 1])(logits, labels), expected)
    assert_close(made("cross_entropy")(logits, labels), expected, rtol=0, atol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_closeness_agrees_with_distances_between_all_pixels(seed, num_classes, ignored):
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=(2, 3, 3)).repeat(2, 1).repeat(2, 2)
    labels[rng.random(labels.shape) < ignored] = 255
    np.testing.assert_allclose(closeness(labels, labels != 255), slow.closeness(labels))


def test_closeness_falls_from_the_boundary_to_the_inside():
    row = np.array([[[0, 0, 0, 0, 1, 255, 255, 2, 2]]])
    expected = [[[1 / 4, 2 / 4, 3 / 4, 1, 1, 0, 0, 1, 1 / 2]]]  # the 2s begin 3 pixels from the 1
    np.testing.assert_allclose(closeness(row, row != 255), expected)


def test_a_sum_is_the_weighted_mean_of_its_losses():
    logits, labels = batch()
    parts = [SurrogateLoss.from_pretrained(card)(logits, labels) for card in ("miou", "biou")]
    assert_close(made("searched_miou_biou")(logits, labels), (parts[0] + parts[1]) / 2)
    uneven = WeightedSum([SurrogateLoss.from_pretrained(card) for card in ("miou", "biou")], [3, 1])
    assert_close(uneven(logits, labels), (3 * parts[0] + parts[1]) / 4)


def test_sums_hold_surrogates_with_a_theta_each():
    for other in ("biou", "bf1"):
        parts = made(f"searched_miou_{other}").losses
        assert [part.formula.name for part in parts] == ["miou", other]
        assert all(part.sync_statistics for part in parts)


# Errors


def test_weighted_cross_entropy_says_what_it_lacks():
    logits, labels = batch()
    with pytest.raises(InputError, match=r"not measured: call measure\(pixel counts\), or give weights"):
        WeightedCrossEntropy()(logits, labels)
    with pytest.raises(InputError, match=r"loss\.weights: expected 3 numbers, one a class, got 2"):
        WeightedCrossEntropy(weights=[1, 2])(logits, labels)


@pytest.mark.parametrize("weights", [[], [1, -1], [float("nan")], ["1"]])
def test_class_weights_are_numbers_of_0_or_more(weights):
    with pytest.raises(InputError, match=r"loss\.weights: expected a number of 0 or more for each class"):
        WeightedCrossEntropy(weights=weights)


@pytest.mark.parametrize("counts", [[0, 0], [3, -1], [[1, 2]], [float("nan"), 1]])
def test_counts_of_no_training_set_are_refused(counts):
    with pytest.raises(InputError, match="expected the pixel counts"):
        WeightedCrossEntropy().measure(torch.tensor(counts))


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -2], [1, float("inf")], [1, 1, 1]])
def test_a_sum_needs_a_weight_above_0_for_each_loss(weights):
    with pytest.raises(InputError, match="expected 2 numbers above 0"):
        WeightedSum([SSIMLoss(), SSIMLoss()], weights)


def test_a_sum_of_losses_that_ignore_different_labels_is_refused():
    with pytest.raises(InputError, match=r"must have its ignore_index=255, got \{7\}"):
        WeightedSum([SSIMLoss(), SSIMLoss(ignore_index=7)], [1, 1])


def test_ssim_needs_room_for_its_window():
    logits, labels = batch((1, 5, 9))
    with pytest.raises(InputError, match=r"6 pixels a side or more, got \(5, 9\)"):
        SSIMLoss()(logits, labels)


def test_without_an_ignored_label_all_pixels_count():
    logits, labels = batch(ignored=0.0)
    for loss in (partial(LibraryLoss, nn.CrossEntropyLoss), SSIMLoss, partial(WeightedCrossEntropy, [1, 2, 3])):
        assert_close(loss(ignore_index=None)(logits, labels), loss(ignore_index=255)(logits, labels))
