"""Maps that are not laid out give what the maps laid out give, in every operation."""

import numpy as np
import pytest
import torch
from helpers import laws
from helpers.members import ABLATIONS, CURVES, every_metric
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra.inputs import label_maps, total
from autosegloss.algebra.labelmap import LabelMap, LazyMap
from autosegloss.algebra.logic import ExactLogic
from autosegloss.algebra.morphology import dilate, erode
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU


def maps(scene):
    """(true, pred, valid), true and pred as label maps, of a scene of `laws`."""
    labels, preds, num_classes = scene
    valid = label_maps(labels, num_classes, laws.IGNORE)[1]
    return (*(LabelMap(x.where(valid.squeeze(1), 0), valid, num_classes) for x in (labels, preds)), valid)


def laid_out(m):
    return m.dense() if isinstance(m, LazyMap) else m


OPERATIONS = {
    "and": lambda a, b, valid: a & b,
    "or": lambda a, b, valid: a | b,
    "xor": lambda a, b, valid: a ^ b,
    "not": lambda a, b, valid: ~a & valid,
    "mask": lambda a, b, valid: a & valid.roll(1, -1),
    "times a mask": lambda a, b, valid: a * valid.roll(1, -1),
    "times a number": lambda a, b, valid: a * 2,
    "plus": lambda a, b, valid: a.float() + b.float(),
    "erode": lambda a, b, valid: erode(a, 3, valid) & valid,
    "erode an edge": lambda a, b, valid: erode(a ^ erode(a, 3, valid), 5, valid) & valid,
    "edge": lambda a, b, valid: (a ^ erode(a, 3, valid)) & valid,
    "dilate": lambda a, b, valid: dilate(a, 5),
    "near the other": lambda a, b, valid: b & dilate(a, 5),
    "the other near": lambda a, b, valid: dilate(a, 5) & b,
    "any class": lambda a, b, valid: (a ^ erode(a, 3, valid)).any(dim=1, keepdim=True) & valid,
    "any pixel": lambda a, b, valid: a.any(dim=2),
    "maximum of parts": lambda a, b, valid: torch.maximum(a & valid.roll(1, -1), a & b),
    "maximum": lambda a, b, valid: torch.maximum(a, b),
    "sum": lambda a, b, valid: torch.where(a, 1, 0).sum(dim=1),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_an_operation_gives_what_it_gives_on_maps_laid_out(operation, scene):
    true, pred, valid = maps(scene)
    lazy, dense = operation(true, pred, valid), operation(true.dense(), pred.dense(), valid)
    assert_close(laid_out(lazy), dense)
    if dense.shape == true.shape:
        mask = valid & valid.roll(1, -2)
        assert_close(total(lazy, mask), total(dense, mask))


@pytest.mark.parametrize("num_classes", [31, 32, 40, 70])
def test_sets_of_many_classes_take_several_words(num_classes):
    labels = torch.randint(num_classes, (2, 12, 13), generator=torch.Generator().manual_seed(0))
    m = LabelMap(labels, torch.ones(2, 1, 12, 13, dtype=torch.bool), num_classes)
    assert_close(dilate(m, 5).dense(), dilate(m.dense(), 5))
    assert_close((m & dilate(m, 3)).dense(), m.dense())
    other = LabelMap(labels.roll(1, -1), m.mask, num_classes)
    assert_close((other & dilate(m, 3)).dense(), other.dense() & dilate(m.dense(), 3))


@every_metric
@settings(max_examples=25, deadline=None)
@given(scene=laws.scenes())
def test_every_metric_has_the_same_sums(formula, scene):
    true, pred, valid = maps(scene)
    _, preds, num_classes = scene
    lazy = formula.statistics(ExactLogic(), pred, true, valid)
    dense = formula.statistics(ExactLogic(), laws.hard_map(preds, valid, num_classes), true.dense(), valid)
    assert_close(lazy, dense)


@every_metric
@pytest.mark.parametrize("curve", [*CURVES.values(), *ABLATIONS.values()], ids=[*CURVES, *ABLATIONS])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_every_loss_has_the_same_value_and_gradient(formula, curve, memory_format, monkeypatch):
    """Read in several parts, and by several blocks, as a larger batch would be."""
    monkeypatch.setattr("autosegloss.kernels.recompute._PART", 300)
    monkeypatch.setattr("autosegloss.kernels.recompute._CLASSES", 100)
    monkeypatch.setattr("autosegloss.kernels.blocks._ON_CPU", 100)
    monkeypatch.setattr("autosegloss.curves.bend._BLOCK", 100)
    logits, labels = laws.batch((3, 9, 11), ignored=0.2)
    labels[:, :4, :5] = 1
    logits = logits.double().contiguous(memory_format=memory_format)
    rng = np.random.default_rng(0)
    for theta in (rng.uniform(0, 1, thetas.size(formula, curve)), rng.integers(0, 2, thetas.size(formula, curve))):
        loss = SurrogateLoss(formula, theta=theta, curve=curve)
        fast, dense = (
            laws.value_and_gradient(lambda x, y, read=read: weighted(read(x, y)), logits, labels)
            for read in (loss.statistics, loss.dense_statistics)
        )
        assert_close(fast, dense)


def weighted(sums):
    """All sums in one number, no two with the same weight."""
    parts = [
        value * torch.linspace(1, 2, value.numel(), dtype=value.dtype) * k for k, value in enumerate(sums.values(), 1)
    ]
    return torch.cat(parts).sum()


@pytest.mark.parametrize("formula", [BoundaryIoU(width=2), BoundaryF1(tolerance=2)])
def test_volumes_too(formula):
    logits, labels = laws.batch((2, 5, 6, 7))
    loss = SurrogateLoss(formula, theta=[0.3] * thetas.size(formula, Bezier()))
    fast, dense = (
        laws.value_and_gradient(lambda x, y, read=read: weighted(read(x, y)), logits, labels)
        for read in (loss.statistics, loss.dense_statistics)
    )
    assert_close(fast, dense)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.sampled_from([3, 5, 11]))
def test_the_gradient_of_pooling_is_that_of_the_first_highest_pixel(seed, size):
    generator = torch.Generator().manual_seed(seed)
    m = torch.rand(2, 2, 7, 9, generator=generator, dtype=torch.float64).requires_grad_()
    upstream = torch.rand(2, 2, 7, 9, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(dilate(m, size), m, upstream)
    reference = torch.nn.functional.max_pool2d(m, size, stride=1, padding=size // 2)
    assert_close(gradient, torch.autograd.grad(reference, m, upstream)[0])


def test_the_gradient_needs_a_part_of_the_batch_at_a_time():
    """What is kept from forward to backward are the logits and the labels."""
    kept = []
    logits, labels = laws.batch((4, 16, 16))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        SurrogateLoss("bf1").statistics(logits.requires_grad_(), labels)
    assert sorted(kept) == sorted([logits.shape, labels.shape, (4, 1, 16, 16)])
