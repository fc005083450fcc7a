"""Maps kept as labels give what dense maps give, in every operation; a prediction gives sums."""

import pytest
import torch
from helpers import laws
from helpers.members import every_metric
from hypothesis import given, settings
from torch.testing import assert_close

from autosegloss.algebra import CurveSum, DenseMap, ExactLogic, LabelMap, Prediction, SoftLogic
from autosegloss.algebra.inputs import label_map
from autosegloss.algebra.truth import Truth
from autosegloss.formulas.formula import values


def counts(sum_):
    return values({"it": sum_})["it"]


def box(m):
    """Other sides along other axes."""
    return (5, 1, 3)[-len(m.shape[2:]) :]


OPERATIONS = {
    "and": lambda a, b, valid: a & b,
    "or": lambda a, b, valid: a | b,
    "xor": lambda a, b, valid: a ^ b,
    "xor of parts": lambda a, b, valid: a ^ a.within(valid.roll(1, -1)),
    "within": lambda a, b, valid: a.within(valid.roll(1, -1)),
    "erode": lambda a, b, valid: a.erode(3, valid).within(valid),
    "erode an edge": lambda a, b, valid: (a ^ a.erode(3, valid)).erode(5, valid).within(valid),
    "edge": lambda a, b, valid: (a ^ a.erode(3, valid)).within(valid),
    "dilate": lambda a, b, valid: a.dilate(5),
    "erode by a box": lambda a, b, valid: a.erode(box(a), valid).within(valid),
    "dilate by a box": lambda a, b, valid: a.dilate(box(a)),
    "dilate twice": lambda a, b, valid: a.dilate(3).dilate(3),
    "near the other": lambda a, b, valid: b & a.dilate(5),
    "the other near": lambda a, b, valid: a.dilate(5) & b,
    "near both": lambda a, b, valid: a.dilate(5) & b.dilate(3),
    "union near": lambda a, b, valid: (a | b) & a.dilate(3),
    "larger of parts": lambda a, b, valid: a.within(valid.roll(1, -1)).larger(a & b),
    "larger": lambda a, b, valid: a.larger(b),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_an_operation_gives_what_it_gives_on_dense_maps(operation, scene):
    labels, preds, num_classes = scene
    true, pred = laws.label_maps(labels, preds, num_classes)
    valid = true.mask
    result = operation(true, pred, valid)
    dense = operation(DenseMap(true.dense()), DenseMap(pred.dense()), valid)
    assert result.crisp
    assert result.shape == true.shape
    assert_close(result.dense(), dense.dense())
    assert_close(result.any_class(), dense.any_class())
    mask = valid & valid.roll(1, -2)
    assert counts(result.total(mask)).dtype == torch.int64
    assert_close(counts(result.total(mask)), counts(dense.total(mask)))


def test_total_counts_crisp_maps_exactly_and_sums_soft_ones():
    generator = torch.Generator().manual_seed(0)
    m = torch.rand(2, 3, 4, 5, generator=generator) < 0.5
    mask = torch.rand(2, 1, 4, 5, generator=generator) < 0.5
    total = counts(DenseMap(m).total(mask))
    assert total.dtype == torch.int64
    assert total.tolist() == [int((m[:, c] & mask[:, 0]).sum()) for c in range(3)]
    assert_close(counts(DenseMap(m.float()).total(mask)), total.float())
    assert counts(DenseMap(m[..., None]).total(mask[..., None])).equal(total)


@pytest.mark.parametrize("num_classes", [31, 32, 40, 70])
def test_sets_of_many_classes_take_several_words(num_classes):
    labels = torch.randint(num_classes, (2, 12, 13), generator=torch.Generator().manual_seed(0))
    m = label_map(labels, num_classes, None)
    assert_close(m.dilate(5).dense(), DenseMap(m.dense()).dilate(5).dense())
    assert_close((m & m.dilate(3)).dense(), m.dense())
    other = LabelMap(labels.roll(1, -1), m.mask, num_classes)
    assert_close((other & m.dilate(3)).dense(), other.dense() & DenseMap(m.dense()).dilate(3).dense())


@every_metric
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_every_metric_has_the_same_sums_on_labels_and_on_dense_maps(formula, scene):
    labels, preds, num_classes = scene
    true, pred = laws.label_maps(labels, preds, num_classes)
    logic = ExactLogic(formula.operations)
    sums = values(formula.plan(logic, pred, true, true.mask))
    assert_close(sums, laws.statistics(formula, logic, preds, labels, num_classes))


@pytest.fixture
def prediction():
    """A prediction of 2 images of 4x5 pixels and 3 classes."""
    logits, labels = laws.batch((2, 4, 5))
    true = label_map(labels, 3, laws.IGNORE)
    return Prediction(logits, Truth(true, true.mask))


FUSED = {
    "total": lambda logic, pred, true, valid: pred.total(valid),
    "within": lambda logic, pred, true, valid: pred.within(valid.roll(1, -1)).total(valid),
    "and": lambda logic, pred, true, valid: logic.and_("it", pred, true).total(valid),
    "and, mirrored": lambda logic, pred, true, valid: logic.and_("it", true, pred).total(valid),
    "and within": lambda logic, pred, true, valid: logic.and_("it", pred, true).within(valid.roll(1, -1)).total(valid),
    "or": lambda logic, pred, true, valid: logic.or_("it", pred, true).total(valid),
    "or within": lambda logic, pred, true, valid: logic.or_("it", pred, true).within(valid.roll(1, -1)).total(valid),
    "or, mirrored": lambda logic, pred, true, valid: logic.or_("it", true, pred).total(valid),
    "combination": lambda logic, pred, true, valid: 2 * pred.total(valid) - true.total(valid),
}


@pytest.mark.parametrize("read", FUSED.values(), ids=FUSED)
def test_a_prediction_gives_sums_of_curves_without_its_probabilities(read, prediction):
    true = prediction.truth.true
    total = read(SoftLogic(["it"], {}), prediction, true, true.mask)
    assert not prediction.laid_out
    assert any(isinstance(term, CurveSum) for _, term in total.terms)


LAID_OUT = {
    "dense": lambda logic, pred, true, valid: DenseMap(pred.dense().sqrt()).total(valid),
    "erode": lambda logic, pred, true, valid: pred.erode(3, valid).total(valid),
    "dilate": lambda logic, pred, true, valid: pred.dilate(3).total(valid),
    "larger": lambda logic, pred, true, valid: pred.larger(pred).total(valid),
    "xor": lambda logic, pred, true, valid: logic.xor("it", pred, true).total(valid),
    "a curve of a curve": lambda logic, pred, true, valid: logic.and_("it", logic.and_("it", pred, true), true).total(
        valid
    ),
    "and with the dilated truth": lambda logic, pred, true, valid: logic.and_("it", pred, true.dilate(3)).total(valid),
    "other labels": lambda logic, pred, true, valid: logic.and_("it", pred, roll(true)).total(valid),
}


def roll(m):
    return LabelMap(m.labels.roll(1, -1), m.mask, m.num_classes)


@pytest.mark.parametrize("read", LAID_OUT.values(), ids=LAID_OUT)
def test_any_other_operation_notes_that_probabilities_were_needed(read, prediction):
    true = prediction.truth.true
    logic = SoftLogic(["it", "it_and", "it_or"], {})
    total = counts(read(logic, prediction, true, true.mask))
    assert prediction.laid_out
    dense = read(logic, DenseMap(prediction.dense()), true, true.mask)
    assert_close(total, counts(dense))
