"""What formulas are written in: maps, AND/OR/XOR in two readings, pooling that knows no border."""

import numpy as np
import pytest
import torch
from helpers.laws import hard_map
from helpers.members import CURVES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.testing import assert_close

from autosegloss import InputError
from autosegloss.algebra.inputs import check_shapes, label_maps, soft_map, total
from autosegloss.algebra.logic import ExactLogic, SoftLogic
from autosegloss.algebra.morphology import dilate, erode
from autosegloss.curves import Bezier, Curve

FALSE_TRUE = torch.tensor([False, False, True, True]), torch.tensor([False, True, False, True])
TABLES = {"and_": [0, 0, 0, 1], "or_": [0, 1, 1, 1], "xor": [0, 1, 1, 0]}


def soft_logic(names, curve=None, seed=0, operands=1):
    """Soft logic with a random curve for each named operation (and operand)."""
    curve, rng = curve or Bezier(), np.random.default_rng(seed)
    thetas = {name: torch.as_tensor(rng.random((operands, curve.num_parameters))) for name in names}
    return SoftLogic({name: [Curve(curve, p) for p in curve.control_points(t)] for name, t in thetas.items()})


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# Logic


@pytest.mark.parametrize("operation", TABLES)
def test_exact_logic_is_the_truth_table(operation):
    result = getattr(ExactLogic(), operation)("any", *FALSE_TRUE)
    assert result.dtype == torch.bool
    assert result.int().tolist() == TABLES[operation]


@pytest.mark.parametrize("operation", TABLES)
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("operands", [1, 2])
def test_soft_logic_keeps_the_truth_table_for_crisp_maps_of_any_type(operation, curve, operands):
    logic = soft_logic(["it", "it_and", "it_or"], curve, operands=operands)
    expected = torch.tensor(TABLES[operation]).double()
    a, b = FALSE_TRUE
    for left, right in ((a.double(), b.double()), (a.double(), b), (a, b.double()), (a, b)):
        result = getattr(logic, operation)("it", left, right)
        assert_close(result.double(), expected, rtol=0, atol=1e-6)


def test_soft_logic_without_a_curve_is_the_product_rule():
    a, b = torch.rand(2, 50, dtype=torch.float64)
    logic = SoftLogic({})
    assert_close(logic.and_("x", a, b), a * b)
    assert_close(logic.or_("x", a, b), a + b - a * b)
    assert_close(logic.xor("x", a, b), a + b - 2 * a * b)


def test_every_operation_has_the_curve_of_its_name():
    a, b = torch.rand(2, 50, dtype=torch.float64)
    logic = soft_logic(["x", "x_and", "x_or"])
    g = {name: curves[0] for name, curves in logic.curves.items()}
    assert_close(logic.and_("x", a, b), g["x"](a) * g["x"](b))
    assert_close(logic.or_("x", a, b), g["x"](a) + g["x"](b) - g["x"](a) * g["x"](b))
    bent = g["x_or"](a) + g["x_or"](b) - g["x_or"](a) * g["x_or"](b) - g["x_and"](a) * g["x_and"](b)
    assert_close(logic.xor("x", a, b), bent.clamp_min(0))
    assert (bent < 0).any()  # the clamp is needed
    assert_close(logic.and_("y", a, b), a * b)


def test_two_curves_are_one_for_each_operand_in_order():
    a, b = torch.rand(2, 50, dtype=torch.float64)
    logic = soft_logic(["x"], operands=2)
    left, right = logic.curves["x"]
    assert_close(logic.and_("x", a, b), left(a) * right(b))
    assert not torch.allclose(logic.and_("x", b, a), left(a) * right(b))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_soft_results_stay_between_0_and_1_and_and_is_below_or(seed):
    a, b = torch.rand(2, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logic = soft_logic(["x", "x_and", "x_or"], seed=seed)
    both, either, one = logic.and_("x", a, b), logic.or_("x", a, b), logic.xor("x", a, b)
    for result in (both, either, one):
        assert (result >= 0).all()
        assert (result <= 1 + 1e-9).all()
    assert (both <= either + 1e-9).all()


# Pooling


@st.composite
def masks(draw):
    """(m, valid): a bool map within a valid region, in 2 or 3 dimensions; ignored pixels are empty."""
    shape = draw(st.lists(st.integers(1, 8), min_size=2, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    m = rng.random((2, 3, *shape)) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    valid = rng.random((2, 1, *shape)) < draw(st.sampled_from([0.5, 0.9, 1.0]))
    return torch.as_tensor(m & valid), torch.as_tensor(valid)


def window(size, m):
    return (1, 1, *[size] * (m.ndim - 2))


@settings(max_examples=40, deadline=None)
@given(masks(), st.sampled_from([1, 3, 5, 11]))
def test_dilate_is_the_maximum_of_the_window(mask, size):
    m, _ = mask
    expected = ndimage.maximum_filter(m.numpy(), window(size, m), mode="constant", cval=0)
    result = dilate(m, size)
    assert result.dtype == torch.bool
    assert result.equal(torch.as_tensor(expected))
    grey = torch.rand(m.shape, generator=torch.Generator().manual_seed(0)) * m
    expected = ndimage.maximum_filter(grey.numpy(), window(size, m), mode="constant", cval=0)
    assert_close(dilate(grey, size), torch.as_tensor(expected))


@settings(max_examples=40, deadline=None)
@given(masks(), st.sampled_from([1, 3, 5, 11]))
def test_erode_is_the_minimum_of_the_valid_part_of_the_window(mask, size):
    m, valid = mask
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
    m = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    valid = torch.rand(1, 1, 5, 6) < 0.8
    assert torch.autograd.gradcheck(lambda m: (dilate(m * valid, 3), erode(m * valid, 3, valid)), m)


# Maps


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_label_maps_are_one_hot_where_valid(dtype):
    true, valid = label_maps(torch.tensor([[[0, 2, 255], [1, 1, 2]]], dtype=dtype), 3, 255)
    assert true.dtype == valid.dtype == torch.bool
    assert valid.tolist() == [[[[True, True, False], [True, True, True]]]]
    assert true.int().tolist() == [[[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]], [[0, 1, 0], [0, 0, 1]]]]


def test_any_label_can_be_the_ignored_one_or_none():
    labels = torch.tensor([[[0, 1, 2]]])
    assert label_maps(labels, 3, None)[1].all()
    for ignored in (0, 2):
        true, valid = label_maps(labels, 3, ignored)
        assert valid.squeeze(1).equal(labels != ignored)
        assert not true[:, ignored].any()
    assert label_maps(labels.where(labels != 1, -7), 3, -7)[1].flatten().tolist() == [True, False, True]


def test_soft_maps_are_softmax_where_valid_and_0_elsewhere_whatever_stands_there():
    logits, labels = torch.randn(2, 4, 3, 5), torch.randint(0, 4, (2, 3, 5))
    labels[0, 0, :2] = 255
    _, valid = label_maps(labels, 4, 255)
    logits[0, :, 0, :2] = torch.tensor([torch.nan, torch.inf])
    probs = soft_map(logits, valid)
    assert_close(probs.sum(1, keepdim=True), valid.float())
    assert_close(probs[1], logits[1].exp() / logits[1].exp().sum(0))
    assert soft_map(logits.half(), valid).dtype == torch.float32
    assert soft_map(logits.double(), valid).dtype == torch.float64


def test_hard_maps_are_one_hot_where_valid_whatever_stands_elsewhere():
    preds, labels = torch.tensor([[[0, 1, 99]]]), torch.tensor([[[1, 1, 255]]])
    _, valid = label_maps(labels, 2, 255)
    assert hard_map(preds, valid, 2).int().tolist() == [[[[1, 0, 0]], [[0, 1, 0]]]]


def test_total_counts_exactly_and_sums_softly():
    m, mask = torch.rand(2, 3, 4, 5) < 0.5, torch.rand(2, 1, 4, 5) < 0.5
    assert total(m, mask).dtype == torch.int64
    assert total(m, mask).tolist() == [int((m[:, c] & mask[:, 0]).sum()) for c in range(3)]
    assert_close(total(m.float(), mask), total(m, mask).float())
    assert total(m[..., None], mask[..., None]).equal(total(m, mask))


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
def test_shapes_that_do_not_fit_are_told(message, logits, labels):
    with pytest.raises(InputError, match=message):
        check_shapes(logits, torch.zeros(labels, dtype=torch.long))


def test_labels_outside_are_told_by_value():
    with pytest.raises(InputError, match=r"labels must lie in \[0, 2\), got \[-3, 2, 9\]; .* must be 255"):
        label_maps(torch.tensor([[[0, 9, -3, 2, 2, 255]]]), 2, 255)
    with pytest.raises(InputError, match=r"predictions must lie in \[0, 2\), got \[4\]$"):
        hard_map(torch.tensor([[[0, 4]]]), torch.ones(1, 1, 1, 2, dtype=torch.bool), 2)
