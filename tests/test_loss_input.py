"""The input of the loss: shapes, types, memory layouts and copies, and the errors for invalid input."""

import copy
import io
import pickle

import pytest
import torch
from helpers.laws import batch, value_and_gradient
from helpers.members import METRICS, covering, every_card, every_metric
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, metrics
from autosegloss.formulas import BoundaryIoU, MeanIoU

SHAPES = {str(shape): shape for shape in [(2, 4, 5, 6), (1, 1, 5, 4), (2, 1, 7), (2, 7, 1), (1, 1, 1)]}
DTYPES = {str(dtype): dtype for dtype in [torch.float16, torch.bfloat16, torch.float32, torch.float64]}


@pytest.mark.parametrize(("formula", "shape"), covering(METRICS, SHAPES, partners=["miou", "biou", "bf1"]))
def test_images_may_be_thin_or_volumes(formula, shape):
    logits, labels = batch(shape, ignored=0)
    value, gradient = value_and_gradient(SurrogateLoss(formula), logits, labels)
    assert 0 <= value <= 1
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["gacc", "macc", "miou", "fwiou"])
def test_a_volume_of_pixelwise_formulas_is_its_slices(name):
    logits, labels = batch((2, 4, 5, 6))
    slices = SurrogateLoss(name)(logits.transpose(1, 2).flatten(0, 1), labels.flatten(0, 1))
    assert_close(SurrogateLoss(name)(logits, labels), slices)


# Forms of input


@pytest.mark.parametrize(("formula", "dtype"), covering(METRICS, DTYPES))
def test_the_loss_computes_in_float32_at_least(formula, dtype):
    logits, labels = batch()
    loss = SurrogateLoss(formula)
    value, gradient = value_and_gradient(loss, logits.to(dtype), labels)
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert gradient.dtype == dtype
    assert_close(value.float(), loss(logits.to(dtype).float(), labels))  # only the input is rounded
    assert_close(value.float(), loss(logits, labels), rtol=0, atol=5e-3)


@every_metric
def test_autocast_changes_nothing(formula):
    logits, labels = batch()
    loss = SurrogateLoss(formula)
    with torch.autocast("cpu", torch.bfloat16):
        value, gradient = value_and_gradient(loss, logits, labels)
    assert value.dtype == torch.float32
    assert_close((value, gradient), value_and_gradient(loss, logits, labels))


@pytest.mark.parametrize(
    "relaid",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
        lambda x: torch.stack([x, x], dim=-1)[..., 0],
    ],
    ids=["channels_last", "transposed", "strided"],
)
@pytest.mark.parametrize("card", ["miou", "biou", "bf1"])
def test_memory_layout_changes_nothing(card, relaid):
    logits, labels = batch()
    other, loss = relaid(logits), SurrogateLoss.from_pretrained(card)
    assert other.stride() != logits.stride()
    assert_close(value_and_gradient(loss, other, labels), value_and_gradient(loss, logits, labels))
    every_second = torch.stack([labels, labels], dim=-1)[..., 0]
    assert_close(loss(logits, every_second), loss(logits, labels))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.uint64])
def test_labels_may_be_of_any_integer_type(dtype):
    logits, labels = batch()
    assert_close(SurrogateLoss("bf1")(logits, labels.to(dtype)), SurrogateLoss("bf1")(logits, labels))


@every_metric
def test_the_ignored_label_may_be_another_or_none(formula):
    logits, labels = batch(ignored=0.3)
    expected = SurrogateLoss(formula)(logits, labels)
    for other in (-1, 7):
        relabelled = labels.where(labels != 255, other)
        assert_close(SurrogateLoss(formula, ignore_index=other)(logits, relabelled), expected)
    all_valid = labels.where(labels != 255, 0)
    assert_close(
        SurrogateLoss(formula, ignore_index=None)(logits, all_valid),
        SurrogateLoss(formula)(logits, all_valid),
    )


# A module like any other


def clones(loss):
    yield copy.deepcopy(loss)
    yield pickle.loads(pickle.dumps(loss))
    file = io.BytesIO()
    torch.save(loss, file)
    file.seek(0)
    yield torch.load(file, weights_only=False)


@every_card
def test_the_loss_survives_copies_and_files(card):
    logits, labels = batch()
    loss = SurrogateLoss.from_pretrained(card, classes="present")
    for clone in clones(loss):
        assert_close(clone(logits, labels), loss(logits, labels), rtol=0, atol=0)


def test_state_dict_carries_theta():
    logits, labels = batch()
    searched, naive = SurrogateLoss.from_pretrained("miou"), SurrogateLoss("miou")
    state = searched.state_dict()
    assert set(state) == {"theta_and", "theta_or", "scale"}
    naive.load_state_dict(state)
    assert_close(naive(logits, labels), searched(logits, labels), rtol=0, atol=0)
    assert not list(searched.parameters())  # theta is searched, not trained


def test_repr_says_what_it_is():
    text = repr(SurrogateLoss(BoundaryIoU(width=6), classes="present"))
    for part in ("BoundaryIoU(width=6)", "Bezier(pieces=2", "classes='present'", "ignore_index=255"):
        assert part in text


# Errors


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (r"unknown metric 'mio': choose one of miou, .*biou", {"formula": "mio"}),
        (r"expected a metric by name .*miou.* got an object of NoneType", {"formula": None}),
        (r"expected .* got the class autosegloss.formulas.iou.MeanIoU, not an object", {"formula": MeanIoU}),
        (r"expected .* got an object of autosegloss.metrics.MeanIoU$", {"formula": metrics.MeanIoU(3)}),
        (r"unknown curve 'bezeir': choose one of bezier, ", {"curve": "bezeir"}),
        (r"unknown class average 'presant': choose one of present, ", {"classes": "presant"}),
        (
            r"theta of 'miou' with curve 'bezier' is 12 numbers \(6 for each of and, or\).*\(5,\)",
            {"theta": [0.5] * 5},
        ),
        (r"12 numbers.*got shape \(2, 6\)", {"theta": [[0.5] * 6] * 2}),
        (r"theta must lie in \[0, 1\], got .*1\.5.* operation 'or'", {"theta": [0.5] * 11 + [1.5]}),
        (r"theta must lie in \[0, 1\], got .*-0\.1.* operation 'and'", {"theta": {"and": [-0.1] * 6}}),
        (r"theta must lie in \[0, 1\], got .*nan", {"theta": [float("nan")] * 12}),
        (r"unknown operation of 'miou' 'xor': choose one of ", {"theta": {"xor": [0.5] * 6}}),
        (r"operation 'and' is 6 numbers, or two lists.*\(3, 6\)", {"theta": {"and": [[0.5] * 6] * 3}}),
        (r"operation 'or' is 6 numbers, or two lists.*\(1, 4\)", {"theta": {"or": [0.5] * 4}}),
        (r"num_classes: expected an integer of 2 or more, got 'three'", {"num_classes": "three"}),
        (r"num_classes: expected an integer of 2 or more, got 1: .* make two channels", {"num_classes": 1}),
        (r"ignore_index: expected an integer, or None to count all pixels, got 'a'", {"ignore_index": "a"}),
        (r"ignore_index: .* got 1\.5", {"ignore_index": 1.5}),
        (r"ignore_index: .* got True", {"ignore_index": True}),
    ],
)
def test_wrong_arguments_are_told(message, arguments):
    with pytest.raises(InputError, match=message) as error:
        SurrogateLoss(**{"formula": "miou", **arguments})
    assert "\n" not in str(error.value)


def test_an_unknown_card_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(InputError, match=r"unknown theta card 'moiu': choose one of miou, "):
        SurrogateLoss.from_pretrained("moiu")
    with pytest.raises(InputError, match=r"no theta card at .*none\.yaml; the cards that ship are .*miou"):
        SurrogateLoss.from_pretrained(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"labels must lie in \[0, 3\), got \[7\]; .*255", lambda x, y: (x, y.where(y != 1, 7))),
        (r"labels must lie in \[0, 3\), got \[-1\]; .*255", lambda x, y: (x, y.where(y != 1, -1))),
        (r"logits must be floating point .*int64", lambda x, y: (x.long(), y)),
        (r"labels must be class indices of an integer type, got torch.float32", lambda x, y: (x, y.float())),
        (r"expected torch tensors, got numpy.ndarray", lambda x, y: (x.numpy(), y.numpy())),
        (r"expected torch tensors, got numpy.ndarray", lambda x, y: (x, y.numpy())),
        (r"labels must be .* got torch.bool", lambda x, y: (x, y.bool())),
        (r"labels of the same shape.*\(2, 3, 9, 11\) and labels \(2, 9, 10\)", lambda x, y: (x, y[..., :-1])),
        (r"labels of the same shape.*labels \(2, 1, 9, 11\)", lambda x, y: (x, y[:, None])),
        (r"labels of the same shape.*logits \(2, 3, 9\)", lambda x, y: (x[..., 0], y[..., 0])),
        (
            r"2 classes or more, got 1: .* torch.cat\(\[torch.zeros_like\(z\), z\]",
            lambda x, y: (x[:, :1], y.clamp(max=1)),
        ),
    ],
)
def test_wrong_input_is_told(message, change):
    with pytest.raises(InputError, match=message):
        SurrogateLoss("miou")(*change(*batch()))


def test_a_label_outside_is_told_even_if_nothing_is_ignored():
    logits, labels = batch(ignored=0.1)
    with pytest.raises(InputError, match=r"labels must lie in \[0, 3\), got \[255\]$"):
        SurrogateLoss("miou", ignore_index=None)(logits, labels)
