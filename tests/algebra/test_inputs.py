"""From labels and logits to maps."""

import pytest
import torch
from torch.testing import assert_close

from autosegloss import InputError
from autosegloss.algebra.inputs import check_shapes, label_map, labels_are_classes, predicted_map, soft_map, valid_map


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_label_maps_are_one_hot_where_valid(dtype):
    m = label_map(torch.tensor([[[0, 2, 255], [1, 1, 2]]], dtype=dtype), 3, 255)
    assert m.mask.tolist() == [[[[True, True, False], [True, True, True]]]]
    assert m.dense().int().tolist() == [[[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]], [[0, 1, 0], [0, 0, 1]]]]


def test_any_label_or_no_label_can_be_ignored():
    labels = torch.tensor([[[0, 1, 2]]])
    assert label_map(labels, 3, None).mask.all()
    for ignored in (0, 2):
        m = label_map(labels, 3, ignored)
        assert m.mask.squeeze(1).equal(labels != ignored)
        assert not m.dense()[:, ignored].any()
    assert label_map(labels.where(labels != 1, -7), 3, -7).mask.flatten().tolist() == [True, False, True]


def test_soft_maps_are_softmax_where_valid_and_0_elsewhere_whatever_stands_there():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 4, 3, 5, generator=generator), torch.randint(0, 4, (2, 3, 5), generator=generator)
    labels[0, 0, :2] = 255
    valid = valid_map(labels, 4, 255)
    logits[0, :, 0, :2] = torch.tensor([torch.nan, torch.inf])
    probs = soft_map(logits, valid)
    assert_close(probs.sum(1, keepdim=True), valid.float())
    assert_close(probs[1], logits[1].exp() / logits[1].exp().sum(0))
    assert soft_map(logits.half(), valid).dtype == torch.float32
    assert soft_map(logits.double(), valid).dtype == torch.float64


def test_predictions_are_one_hot_where_labels_are_valid():
    true = label_map(torch.tensor([[[1, 1, 255]]]), 2, 255)
    assert predicted_map(torch.tensor([[[0, 1, 99]]]), true).dense().int().tolist() == [[[[1, 0, 0]], [[0, 1, 0]]]]


@pytest.mark.parametrize(
    ("message", "logits", "labels"),
    [
        ("floating point", torch.zeros(1, 2, 3, 3, dtype=torch.long), (1, 3, 3)),
        (r"got logits \(1, 2, 3\) and labels \(1, 3\)", torch.zeros(1, 2, 3), (1, 3)),
        (r"got logits \(2, 2, 3, 3\) and labels \(1, 3, 3\)", torch.zeros(2, 2, 3, 3), (1, 3, 3)),
        (r"got logits \(1, 2, 3, 3\) and labels \(1, 3, 4\)", torch.zeros(1, 2, 3, 3), (1, 3, 4)),
        (r"got logits \(1, 2, 3, 3\) and labels \(3, 3\)", torch.zeros(1, 2, 3, 3), (3, 3)),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(message, logits, labels):
    with pytest.raises(InputError, match=message):
        check_shapes(logits, torch.zeros(labels, dtype=torch.long))


def test_labels_outside_are_named_by_value():
    with pytest.raises(InputError, match=r"labels must lie in \[0, 2\), got \[-3, 2, 9\]; .* must be 255"):
        label_map(torch.tensor([[[0, 9, -3, 2, 2, 255]]]), 2, 255)
    with pytest.raises(InputError, match=r"predictions must lie in \[0, 2\), got \[4\]$"):
        predicted_map(torch.tensor([[[0, 4]]]), label_map(torch.tensor([[[0, 0]]]), 2, 255))


def test_labels_are_checked_unless_the_caller_has_done_so():
    labels = torch.tensor([[[0, 7]]])
    with pytest.raises(InputError, match=r"labels must lie in \[0, 3\), got \[7\]"):
        valid_map(labels, 3, 255)
    with labels_are_classes():
        assert valid_map(labels, 3, 255).all()
    with pytest.raises(InputError):
        valid_map(labels, 3, 255)
