"""Averages over classes and images, against loops over single images and classes."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from helpers.laws import value_and_gradient
from helpers.members import METRICS, slow
from helpers.task_scenes import AGGREGATES, IGNORE, TASKS, drawn_theta, every_task, scene
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss
from autosegloss.functional import score
from autosegloss.metrics import FormulaMetric
from autosegloss.tasks.multiclass import Multiclass

MULTICLASS = TASKS["multiclass"]
FEW = [METRICS[name] for name in ("miou", "bf1", "miou+bf1")]
few_formulas = pytest.mark.parametrize(
    "formula", [FEW[-1], *slow([(formula,) for formula in FEW[:-1]])], ids=lambda formula: formula.name
)


def alone(one, n):
    return one.logits[n : n + 1], one.labels[n : n + 1]


@every_task
@few_formulas
def test_the_loss_of_images_is_the_mean_of_their_losses(formula, task):
    one, theta = scene(task, (4, 7, 8)), drawn_theta(formula)
    single = SurrogateLoss(formula, theta=theta, task=task)
    each = [value_and_gradient(single, *alone(one, n)) for n in range(4)]
    value, gradient = value_and_gradient(
        SurrogateLoss(formula, theta=theta, task=task, aggregate="image"), one.logits, one.labels
    )
    assert_close(value, torch.stack([own for own, _ in each]).mean())
    assert_close(gradient, torch.cat([own for _, own in each]) / 4, rtol=1e-4, atol=1e-7)
    worst = SurrogateLoss(formula, theta=theta, task=task, aggregate="worst image")
    assert_close(worst(one.logits, one.labels), torch.stack([own for own, _ in each]).max())
    assert value.dtype == worst(one.logits, one.labels).dtype == torch.float32


def iou_tables(one, classes):
    """Intersection, union and truth (N, C) of predicted labels, by loops."""
    tables = np.zeros((3, len(one.labels), classes))
    for n, c in np.ndindex(len(one.labels), classes):
        if one.labels.ndim == one.logits.ndim:
            pred, true, valid = one.preds[n, c] == 1, one.labels[n, c] == 1, one.labels[n, c] != IGNORE
        else:
            pred, true, valid = one.preds[n] == c, one.labels[n] == c, one.labels[n] != IGNORE
        pred, true = pred & valid, true & valid
        tables[:, n, c] = (pred & true).sum(), (pred | true).sum(), true.sum()
    return tables


def mean(pairs):
    """The weighted mean of (value, weight); nan of nothing."""
    weight = sum(w for _, w in pairs)
    return sum(v * w for v, w in pairs) / weight if weight else math.nan


def reference(one, classes, aggregate, absent, ids, weights):
    """Mean IoU by the documented options, one image and class after the other."""
    both, either, _ = iou_tables(one, classes)
    ids = range(classes) if ids is None else ids
    weights = dict(zip(ids, weights or [1.0] * len(ids), strict=True))

    def entry(i, u, w):
        if u:
            return i / u, w
        return {"zero": (0.0, w), "one": (1.0, w)}.get(absent, (0.0, 0.0))

    def of(i, u):
        return [entry(i[c], u[c], weights[c]) for c in ids]

    rows = [of(i, u) for i, u in zip(both, either, strict=True)]
    if aggregate == "batch":
        return mean(of(both.sum(0), either.sum(0)))
    if aggregate == "image,class":
        return mean([pair for row in rows for pair in row])
    scores = [own for own in map(mean, rows) if not math.isnan(own)]
    if not scores:
        return math.nan
    return float(np.mean(scores)) if aggregate == "image" else min(scores)


def sparse(task, seed):
    """A scene in which some images lack some classes, in truth and prediction; one lacks the foreground alone."""
    one = scene(task, (4, 6, 7), seed=seed)
    if isinstance(task, Multiclass):
        one.labels[0][one.labels[0] != IGNORE], one.preds[0] = 1, 1
        one.labels[1][one.labels[1] == 2], one.preds[1][one.preds[1] == 2] = 0, 0
    else:
        one.labels[0][one.labels[0] != IGNORE], one.preds[0] = 0, 0
        one.labels[1][one.labels[1] != IGNORE] = 0
    return one


@every_task
@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("absent", [None, "skip", "zero", "one"])
def test_metrics_average_as_a_loop_does(task, aggregate, absent):
    for seed, (ids, weights) in enumerate([(None, None), ([0], None), (None, True), ([0, 2], [1.0, 3.0])]):
        one = sparse(task, seed)
        count = one.num_classes
        if ids is not None and max(ids) >= count:
            continue
        weights = [0.5, 2.0, 0.0][:count] if weights is True else weights
        options = {"aggregate": aggregate, "absent": absent, "classes": ids, "class_weights": weights, "task": task}
        metric = FormulaMetric("miou", count, **options)
        for part in (slice(0, 1), slice(1, 4)):
            metric.update(one.preds[part], one.labels[part])
        expected = reference(one, count, aggregate, absent, ids, weights)
        assert_close(metric.compute().item(), expected, equal_nan=True, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_losses_of_classes_and_weights_are_those_of_a_loop(aggregate):
    """Soft IoU by hand, of single images and classes."""
    one = scene(MULTICLASS, (3, 6, 7))
    probs, seen = one.logits.softmax(1) * ~one.ignored, ~one.ignored
    true = (one.labels.unsqueeze(1) == torch.arange(3).view(3, 1, 1)) & seen
    both, either = ((f(probs, true.float())).sum((2, 3)) for f in (torch.mul, lambda p, t: p + t - p * t))
    w = torch.tensor([3.0, 1.0])  # of the classes 2 and 0
    pick = torch.tensor([2, 0])
    table = (both / either)[:, pick]
    per_image = (table * w).sum(1) / 4
    expected = {
        "batch": ((both.sum(0) / either.sum(0))[pick] * w).sum() / 4,
        "image": per_image.mean(),
        "image,class": (table * w).sum() / 12,
        "worst image": per_image.min(),
    }[aggregate]
    loss = SurrogateLoss("miou", classes=[2, 0], class_weights=[3, 1], aggregate=aggregate)
    assert_close(1 - loss(one.logits, one.labels), expected)


@pytest.mark.parametrize("aggregate", ["batch", "image"])
def test_absent_classes_of_a_loss(aggregate):
    one = scene(MULTICLASS, (2, 6, 7))
    labels = one.labels.where(one.labels != 2, 0)
    of = {
        absent: 1 - SurrogateLoss("miou", absent=absent, aggregate=aggregate)(one.logits, labels)
        for absent in ("skip", "zero", "one")
    }
    assert_close(3 * of["zero"], 2 * of["skip"])
    assert_close(3 * of["one"], 2 * of["skip"] + 1)
    assert_close(1 - SurrogateLoss("miou", aggregate=aggregate)(one.logits, labels), of["zero"])
    present = SurrogateLoss("miou", classes="present", aggregate=aggregate)
    assert_close(1 - present(one.logits, labels), of["skip"])


def test_ids_are_those_of_the_labels_beside_an_ignored_class():
    one = scene(MULTICLASS, (2, 6, 7), ignored=0)
    ours = [score(one.preds, one.labels, "miou", 3, ignore_index=0, classes=[c]) for c in (1, 2)]
    each = score(one.preds, one.labels, "miou", 3, ignore_index=0, per_class=True)
    assert_close(torch.stack(ours), each[1:])
    assert each[0].isnan()
    weighed = score(one.preds, one.labels, "miou", 3, ignore_index=0, class_weights=[9, 1, 3])
    assert_close(weighed, (each[1] + 3 * each[2]) / 4)
    losses = [SurrogateLoss("miou", ignore_index=0, classes=[c])(one.logits, one.labels) for c in (1, 2)]
    whole = SurrogateLoss("miou", ignore_index=0, class_weights=[9, 1, 3])(one.logits, one.labels)
    assert_close(whole, (losses[0] + 3 * losses[1]) / 4)
    for make in (lambda **o: SurrogateLoss("miou", **o), lambda **o: FormulaMetric("miou", 3, **o)):
        with pytest.raises(InputError, match=r"classes: 0 is the label to ignore \(ignore_index\): leave it out"):
            make(ignore_index=0, classes=[0, 1])


@every_task
@few_formulas
@pytest.mark.parametrize("aggregate", ["image", *slow([("worst image",)])])
def test_states_of_images_reset_merge_and_travel(formula, task, aggregate):
    one = scene(task, (4, 6, 7))
    options = {"task": task, "aggregate": aggregate}
    whole, part = (FormulaMetric(formula, one.num_classes, **options) for _ in range(2))
    whole.update(one.preds, one.labels)
    expected = whole.compute()
    part.update(one.preds[2:], one.labels[2:])
    other = pickle.loads(pickle.dumps(FormulaMetric(formula, one.num_classes, **options)))
    other.update(one.preds[:2], one.labels[:2])
    travelled = pickle.loads(pickle.dumps(other))
    travelled.merge_state(part)
    assert_close(travelled.compute(), expected)
    assert_close(copy.deepcopy(travelled)(one.preds, one.labels), expected)
    assert_close(FormulaMetric(formula, one.num_classes, **options)(one.preds, one.labels), expected)
    travelled.reset()
    travelled.update(one.preds, one.labels)
    assert_close(travelled.compute(), expected)
