"""From labels and logits to maps."""

import pytest
import torch
from torch.testing import assert_close

from autosegloss import InputError
from autosegloss.algebra.checks import check_shapes
from autosegloss.algebra.inputs import full_precision, label_map, labels_are_classes, predicted_map, soft_map, valid_map

INTEGERS = [torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
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


# The forms in which binary data arrive, and ids of another kind: the message holds the remedy


LOGITS, LABELS = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long)
TWO = r"make two channels of its logit z by torch.cat\(\[torch.zeros_like\(z\), z\], dim=1\)"


@pytest.mark.parametrize(
    ("message", "logits", "labels"),
    [
        (f"a channel for each of 2 classes or more, got 1: .*{TWO}", LOGITS[:, :1], LABELS),
        (r'labels \(2, 1, 4, 5\): a single foreground is task="binary"; ', LOGITS[:, :1], LABELS[:, None]),
        (r"labels\.squeeze\(1\)$", LOGITS, LABELS[:, None]),
        (r"labels\.squeeze\(1\)$", LOGITS[..., None], LABELS[:, None, :, :, None]),
        (r'labels\.argmax\(dim=1\); .* task="multilabel"$', LOGITS, LOGITS.long()),
        (r'logit \(N, H, W\) of a single foreground is task="binary"', LOGITS[:, 0], LABELS),
        (r"on one device, got cpu and meta: move the labels", LOGITS, LABELS.to("meta")),
    ],
)
def test_a_form_that_does_not_fit_is_told_with_its_remedy(message, logits, labels):
    with pytest.raises(InputError, match=message):
        check_shapes(logits, labels)


def test_the_two_channels_of_a_logit_are_its_sigmoid():
    z = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    both = torch.cat([torch.zeros_like(z), z], dim=1)
    check_shapes(both, LABELS)
    assert_close(soft_map(both, valid_map(LABELS, 2, 255))[:, 1:], z.sigmoid())


@pytest.mark.parametrize(
    ("message", "labels", "num_classes", "ignore_index"),
    [
        (r"got \[255\]; of a mask of 0 and 255 make classes by \(labels == 255\).long\(\)", [0, 255], 2, None),
        (r"got \[7\]; of a mask of 0 and 7 make classes by \(labels == 7\).long\(\)", [0, 7, 255], 2, 255),
        (r"got \[3\]; the labels seem to start at 1: subtract 1", [1, 2, 3, 255], 3, 255),
        (r"got \[3\]; each class needs a channel, and pixels to leave out must be 255", [0, 1, 3], 3, 255),
        (r"got \[-1\]; .* must be -100 \(ignore_index\)", [0, 1, -1], 3, -100),
        (r"got \[255\]$", [0, 1, 255], 3, None),
    ],
)
def test_labels_outside_are_told_with_the_nearest_remedy(message, labels, num_classes, ignore_index):
    with pytest.raises(InputError, match=rf"labels must lie in \[0, {num_classes}\), {message}"):
        label_map(torch.tensor([[labels]]), num_classes, ignore_index)


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (r"torch.bool: convert them by labels.long\(\)", LABELS.bool()),
        (r"torch.float32: convert them by labels.long\(\)", LABELS.float()),
        (r"torch.float32: they hold fractions, as of a mask scaled to \[0, 1\]", LABELS + 1 / 255),
        (r"torch.complex64: convert them", LABELS + 1j),
    ],
)
def test_labels_of_another_type_are_told_with_the_remedy(message, values):
    with pytest.raises(InputError, match=f"labels must be class indices of an integer type, got {message}"):
        label_map(values, 2, 255)


@pytest.mark.parametrize("dtype", [torch.int8, *INTEGERS], ids=str)
def test_predictions_may_be_of_any_integer_type(dtype):
    true = label_map(torch.tensor([[[0, 1, 2]]]), 3, 255)
    assert predicted_map(torch.tensor([[[2, 1, 0]]]).to(dtype), true).labels.tolist() == [[[2, 1, 0]]]


def test_predictions_that_only_a_smaller_type_could_hold_are_not_cut():
    true = label_map(torch.tensor([[[0, 1]]]), 3, 255, dtype=torch.int32)
    with pytest.raises(InputError, match=r"predictions must lie in \[0, 3\), got \[4294967297\]"):
        predicted_map(torch.tensor([[[0, 2**32 + 1]]]), true)


def test_a_device_without_autocast_needs_no_guard_against_it():
    with torch.autocast("cpu", torch.bfloat16), full_precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with full_precision(torch.device("meta")):
        assert torch.ones(2, device="meta").dtype == torch.float32
