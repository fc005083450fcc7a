"""The sums of a loss are those of dense maps, whether they are computed in blocks, image by image or class by class."""

import numpy as np
import pytest
import torch
from helpers import laws
from helpers.members import METRICS, every_metric, every_pair_and_ablation
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra import DenseMap
from autosegloss.algebra.inputs import label_map, labels_are_classes
from autosegloss.algebra.truth import Truth
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU, resolve
from autosegloss.formulas.formula import values
from autosegloss.kernels.recompute import recomputed_sums
from autosegloss.metrics import segmentation_metrics

CLASSWISE = {name: formula for name, formula in METRICS.items() if formula.classwise}


def made(formula, seed=0):
    theta = torch.rand(thetas.size(formula, Bezier()), generator=torch.Generator().manual_seed(seed))
    return SurrogateLoss(formula, theta=theta)


@every_metric
def test_the_gradient_can_be_computed_twice(formula):
    """The first computation overwrites the saved data."""
    logits, labels = laws.batch((2, 9, 11))
    logits.requires_grad_()
    value = made(formula)(logits, labels)
    first, second = (torch.autograd.grad(value, logits, retain_graph=True)[0].clone() for _ in range(2))
    assert_close(second, first)


@every_metric
def test_without_a_gradient_the_value_is_the_same(formula):
    logits, labels = laws.batch((2, 9, 11))
    with torch.no_grad():
        value = made(formula)(logits, labels)
    assert_close(made(formula)(logits.requires_grad_(), labels), value, rtol=0, atol=0)


@every_metric
def test_labels_may_lie_in_memory_in_any_order(formula):
    logits, labels = laws.batch((3, 9, 11))
    slices = labels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert_close(*(laws.value_and_gradient(made(formula), logits, y) for y in (slices.to(torch.uint8), labels)))


@every_metric
def test_logits_that_are_a_part_of_larger_ones(formula):
    """A module pads images and crops the logits, so that they are not contiguous."""
    large, labels = laws.batch((2, 12, 13))
    part = large.contiguous(memory_format=torch.channels_last)[..., :9, :11]
    results = (laws.value_and_gradient(made(formula), x, labels[:, :9, :11]) for x in (part, part.contiguous()))
    assert_close(*results)


@every_metric
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5)], ids=["images", "pixels"])
def test_a_batch_without_any_has_loss_0(formula, shape):
    labels = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    value, gradient = laws.value_and_gradient(made(formula), torch.zeros(shape), labels)
    assert value == 0
    assert gradient.shape == shape


@pytest.mark.parametrize("formula", CLASSWISE.values(), ids=CLASSWISE)
def test_a_formula_read_class_by_class_has_the_same_sums(formula):
    labels, preds = (torch.randint(5, (2, 9, 11), generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    loss, some = made(formula), torch.tensor([1, 3])
    true, pred = (torch.nn.functional.one_hot(x, 5).movedim(-1, 1) for x in (labels, preds))
    valid = torch.ones(2, 1, 9, 11, dtype=torch.bool)
    soft = 0.8 * pred + 0.04
    whole = values(formula.plan(loss.logic(), DenseMap(soft), DenseMap(true.bool()), valid))
    part = values(formula.plan(loss.logic(), DenseMap(soft[:, some]), DenseMap(true[:, some].bool()), valid))
    assert_close({name: value[some] for name, value in whole.items()}, part)


def test_the_formulas_that_are_read_class_by_class():
    assert set(METRICS) - set(CLASSWISE) == {"biou", "miou+biou"}


@every_metric
def test_a_step_waits_for_no_device(formula):
    """On the meta device any operation that reads a value, and so waits for a GPU, fails."""
    logits = torch.empty(2, 4, 9, 11, device="meta", requires_grad=True)
    labels = torch.empty(2, 9, 11, dtype=torch.int64, device="meta")
    loss, metrics = made(formula), segmentation_metrics(4, metrics=[formula]).to("meta")
    with labels_are_classes():
        value = formula.score(loss.statistics(logits, labels), loss.classes)
        (gradient,) = torch.autograd.grad(value, logits)
        metrics.update(logits.argmax(dim=1), labels)
    assert gradient.shape == logits.shape


# Against the formula on dense maps


def weighted(sums):
    """All sums in one number, each with a weight of its own."""
    parts = [
        value * torch.linspace(1, 2, value.numel(), dtype=value.dtype) * k for k, value in enumerate(sums.values(), 1)
    ]
    return torch.cat(parts).sum()


def assert_equals_dense_reading(loss, logits, labels, **tolerances):
    fast, dense = (
        laws.value_and_gradient(lambda x, y, read=read: weighted(read(x, y)), logits, labels)
        for read in (loss.statistics, loss.dense_statistics)
    )
    assert_close(fast, dense, **tolerances)


@every_pair_and_ablation
def test_every_loss_has_the_value_and_gradient_of_dense_maps(formula, curve):
    logits, labels = laws.batch((3, 9, 18), ignored=0.2)
    labels[:, :, 5:][labels[:, :, 5:] != laws.IGNORE] = 1  # a region that reaches out of the band of the boundaries
    rng = np.random.default_rng(0)
    for theta in (rng.uniform(0, 1, thetas.size(formula, curve)), rng.integers(0, 2, thetas.size(formula, curve))):
        assert_equals_dense_reading(SurrogateLoss(formula, theta=theta, curve=curve), logits.double(), labels)


layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])


@layouts
@pytest.mark.parametrize("formula", ["miou", "biou"])
def test_a_batch_of_several_blocks_has_the_same_sums(formula, layout):
    """An image has more elements than a block."""
    logits, labels = laws.batch((2, 290, 300), num_classes=7)
    logits = logits.contiguous(memory_format=layout)
    assert_equals_dense_reading(made(resolve(formula)), logits, labels, rtol=1e-3, atol=1e-3)


@layouts
@pytest.mark.parametrize(("formula", "side"), [("bf1", 165), ("miou+bf1", 20), ("biou+bf1", 20)])
def test_sums_that_are_recomputed_image_by_image_and_class_by_class_are_the_same(formula, side, layout):
    """165 x 165 pixels of 20 classes are more elements than are read at once, so that classes are read apart."""
    loss = made(resolve(formula))
    logits, labels = laws.batch((2, side, side), num_classes=20)
    true = label_map(labels, 20, laws.IGNORE)

    def recomputed(x, _):
        sums = recomputed_sums(read, x, Truth(true, true.mask), loss.formula.classwise, at_once=1)
        return weighted({name: value.to(x.dtype) for name, value in sums.items()})

    def read(pred, true, valid):
        return values(loss.formula.plan(loss.logic(), pred, true, valid))

    fast = laws.value_and_gradient(recomputed, logits.contiguous(memory_format=layout), labels)
    dense = laws.value_and_gradient(lambda x, y: weighted(loss.dense_statistics(x, y)), logits, labels)
    assert_close(fast, dense, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("formula", [BoundaryIoU(width=2), BoundaryF1(tolerance=2)])
def test_volumes_too(formula):
    logits, labels = laws.batch((2, 5, 6, 7))
    assert_equals_dense_reading(made(formula), logits, labels)


def test_the_gradient_needs_a_part_of_the_batch_at_a_time():
    """From forward to backward a formula that needs maps saves the logits and the labels alone."""
    saved = []
    logits, labels = laws.batch((4, 16, 16))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.shape) or x, lambda x: x):
        SurrogateLoss("bf1").statistics(logits.requires_grad_(), labels)
    assert sorted(saved) == sorted([logits.shape, labels.shape, (4, 1, 16, 16)])
