"""The laws of losses and metrics, over every task and formula."""

from itertools import product

import pytest
import torch
from helpers.laws import value_and_gradient
from helpers.task_scenes import AGGREGATES, IGNORE, TASKS, crisp_sums, drawn_theta, every_pair, scene, soft
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.functional import score
from autosegloss.tasks.binary import Binary
from autosegloss.tasks.multiclass import Multiclass

SHAPES = {"images": (3, 7, 8), "volumes": (2, 3, 5, 6), "thin": (2, 1, 9)}


@every_pair
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_soft_reading_of_crisp_predictions_is_the_metric(formula, task, shape):
    one = scene(task, shape, ignored=0.2, seed=7)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task, from_logits=False)
    exact = crisp_sums(formula, task, one)
    for name, value in loss.statistics(one.probs, one.labels).items():
        assert exact[name].dtype == torch.int64
        assert_close(value.double(), exact[name].double(), rtol=1e-5, atol=1e-4)
    # Over "all" classes an image without truth scores 0 in the metric, and is none to the loss.
    for classes, aggregate in [("all", "batch"), *(("present", aggregate) for aggregate in AGGREGATES)]:
        options = {"task": task, "classes": classes, "aggregate": aggregate}
        loss = SurrogateLoss(formula, theta=drawn_theta(formula), from_logits=False, **options)
        metric = score(one.preds, one.labels, formula, one.num_classes, **options)
        if metric > 0:  # without anything to score the loss is 0, and the metric 0 or nan
            assert_close(1 - loss(one.probs, one.labels), metric, rtol=1e-4, atol=1e-5)


@every_pair
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_sums_and_gradients_are_those_of_dense_maps_in_float64(formula, task, shape):
    one = scene(task, shape, seed=5)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task)
    weights = torch.rand(8, generator=torch.Generator().manual_seed(5))

    def weighed(read):
        return lambda x, y: sum(w * value.sum() for w, value in zip(weights, read(x, y).values(), strict=False))

    for labels in (one.labels, soft(task, one.labels)):
        ours = value_and_gradient(weighed(loss.statistics), one.logits, labels)
        dense = value_and_gradient(weighed(loss.dense_statistics), one.logits.double(), labels)
        assert_close(ours[0].double(), dense[0], rtol=1e-4, atol=1e-4)
        assert_close(ours[1].double(), dense[1], rtol=1e-3, atol=1e-5)


def masks(one):
    """The ignored pixels of a scene as masks `valid`, in each form."""
    valid = ~one.ignored
    yield valid
    if valid.shape[1] == 1:
        yield valid[:, 0]


@every_pair
def test_ignored_pixels_change_nothing(formula, task):
    one = scene(task, ignored=0.3)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task)
    expected = value_and_gradient(loss, one.logits, one.labels)
    assert expected[1].masked_select(one.ignored).eq(0).all()
    metric = score(one.logits, one.labels, formula, one.num_classes, task=task)
    blank = one.labels.where(one.labels != IGNORE, 0)
    for junk in (torch.nan, torch.inf, 50.0):
        logits = one.logits.masked_fill(one.ignored, junk)
        assert_close(value_and_gradient(loss, logits, one.labels), expected, rtol=0, atol=0)
        assert_close(score(logits, one.labels, formula, one.num_classes, task=task), metric, rtol=0, atol=0)
        for valid in masks(one):
            assert_close(value_and_gradient(lambda x, y, v=valid: loss(x, y, v), logits, blank), expected)
            assert_close(score(logits, blank, formula, one.num_classes, valid=valid, task=task), metric)


@every_pair
def test_an_image_that_is_all_ignored_changes_nothing(formula, task):
    one = scene(task)
    logits = torch.cat([one.logits, one.logits[:1] * torch.nan])
    labels = torch.cat([one.labels, torch.full_like(one.labels[:1], IGNORE)])
    for aggregate, absent in product(AGGREGATES, (None, "zero", "one")):
        options = {"task": task, "aggregate": aggregate, "absent": absent}
        loss = SurrogateLoss(formula, **options)
        assert_close(loss(logits, labels), loss(one.logits, one.labels))
        values = [score(*pair, formula, one.num_classes, **options) for pair in ((logits, labels), one[:2])]
        assert_close(*values, equal_nan=True)


@every_pair
def test_a_batch_that_is_all_ignored_has_loss_0_and_no_score(formula, task):
    one = scene(task, ignored=1)
    for aggregate in AGGREGATES:
        loss = SurrogateLoss(formula, task=task, aggregate=aggregate)
        value, gradient = value_and_gradient(loss, one.logits * torch.nan, one.labels)
        assert value == 0
        assert gradient.eq(0).all()
        assert score(one.logits, one.labels, formula, one.num_classes, task=task, aggregate=aggregate).isnan()


@every_pair
def test_the_order_of_images_and_classes_changes_nothing(formula, task):
    one, order = scene(task, ignored=0.2), [2, 0, 1]
    theta = drawn_theta(formula)
    for aggregate in AGGREGATES:
        loss = SurrogateLoss(formula, theta=theta, task=task, aggregate=aggregate)
        assert_close(loss(one.logits[order], one.labels[order]), loss(one.logits, one.labels))
        if not isinstance(task, Binary):
            named = torch.cat([torch.argsort(torch.tensor(order)), torch.arange(3, 256)])
            labels = named[one.labels] if isinstance(task, Multiclass) else one.labels[:, order]
            assert_close(loss(one.logits[:, order], labels), loss(one.logits, one.labels))


@every_pair
def test_a_volume_of_one_slice_is_an_image(formula, task):
    one = scene(task)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task)
    image = value_and_gradient(loss, one.logits, one.labels)
    volume = value_and_gradient(loss, one.logits.unsqueeze(2), one.labels.unsqueeze(one.labels.ndim - 2))
    assert_close((volume[0], volume[1].squeeze(2)), image, rtol=1e-5, atol=1e-6)


@every_pair
def test_half_precision_and_autocast_are_computed_in_float32(formula, task):
    one = scene(task)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = one.logits.to(dtype)
        expected = value_and_gradient(loss, rounded.float(), one.labels)
        with torch.autocast("cpu", torch.bfloat16):
            value, gradient = value_and_gradient(loss, rounded, one.labels)
        assert_close(value, expected[0], rtol=1e-6, atol=1e-6)
        assert_close(gradient, expected[1].to(dtype))


@every_pair
def test_gradients_agree_with_finite_differences(formula, task):
    one = scene(task, (2, 5, 6), seed=3)
    logits = one.logits.double().requires_grad_()
    for labels in (one.labels, soft(task, one.labels)):
        loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task, aggregate="image")
        assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits, eps=1e-7, atol=1e-4, fast_mode=True)  # noqa: B023


@every_pair
def test_trusted_labels_and_no_gradient_give_the_same(formula, task):
    one = scene(task)
    loss = SurrogateLoss(formula, theta=drawn_theta(formula), task=task)
    expected = value_and_gradient(loss, one.logits, one.labels)
    with labels_are_classes():
        assert_close(value_and_gradient(loss, one.logits, one.labels), expected)
        if not isinstance(task, Multiclass):
            assert_close(value_and_gradient(loss, one.logits, one.labels.float()), expected, rtol=1e-4, atol=1e-6)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert_close(loss(one.logits, one.labels), expected[0])


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_scale_ce_makes_the_gradient_as_large_as_that_of_cross_entropy(task):
    one = scene(task)
    loss = SurrogateLoss("miou", task=task, scale="ce")
    gradient = value_and_gradient(loss, one.logits, one.labels)[1]
    entropy = value_and_gradient(loss.cross_entropy, one.logits, one.labels)
    assert_close(gradient.norm(), entropy[1].norm())
    seen = ~one.ignored
    if isinstance(task, Multiclass):
        expected = torch.nn.functional.cross_entropy(one.logits, one.labels, ignore_index=IGNORE)
    else:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(one.logits[seen], one.labels[seen].float())
    assert_close(entropy[0], expected)
    probs = one.logits.softmax(1) if isinstance(task, Multiclass) else one.logits.sigmoid()
    assert_close(SurrogateLoss("miou", task=task, from_logits=False).cross_entropy(probs, one.labels), expected)
