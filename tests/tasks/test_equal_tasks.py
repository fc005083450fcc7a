"""The same data in another form, or under another task, has the same loss, gradient and metric."""

import copy
import pickle

import pytest
import torch
from helpers.laws import value_and_gradient
from helpers.members import METRICS, slow
from helpers.task_scenes import IGNORE, TASKS, drawn_theta, every_pair, every_task, one_hot, scene
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.algebra.activations import SIGMOID, SOFTMAX
from autosegloss.functional import score, surrogate_loss
from autosegloss.metrics import FormulaMetric
from autosegloss.tasks.binary import Binary
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.tasks.multilabel import Multilabel

BINARY, MULTILABEL = TASKS["binary"], TASKS["multilabel"]
LAYOUTS = {
    "(N, 1, H, W)": ((2, 9, 8), lambda x: x),
    "(N, H, W)": ((2, 9, 8), lambda x: x.squeeze(1)),
    "(N, 1, D, H, W)": ((2, 3, 5, 6), lambda x: x),
    "(N, D, H, W)": ((2, 3, 5, 6), lambda x: x.squeeze(1)),
}
# The band of biou is that of all classes, so that it depends on which classes there are.
CLASSWISE = [name for name, formula in METRICS.items() if formula.classwise]


@pytest.mark.parametrize("name", ["miou", *slow([(name,) for name in CLASSWISE if name != "miou"])])
@pytest.mark.parametrize("shape", [(2, 9, 8), (2, 3, 5, 6)], ids=["images", "volumes"])
def test_binary_is_two_classes_of_which_one_is_scored(name, shape):
    formula, one = METRICS[name], scene(BINARY, shape)
    theta = drawn_theta(formula)
    two = torch.cat([torch.zeros_like(one.logits), one.logits], dim=1)
    ids = one.labels.squeeze(1)
    binary = value_and_gradient(SurrogateLoss(formula, theta=theta, task=BINARY), one.logits, one.labels)
    loss = SurrogateLoss(formula, theta=theta, classes=[1])
    multi = value_and_gradient(lambda z, y: loss(torch.cat([torch.zeros_like(z), z], dim=1), y), one.logits, ids)
    assert_close(binary, multi, rtol=1e-5, atol=1e-6)
    assert_close(score(one.logits, one.labels, formula, task="binary"), score(two, ids, formula, 2, classes=[1]))


@pytest.mark.parametrize("name", ["bf1", *slow([(name,) for name in ["biou", *CLASSWISE] if name != "bf1"])])
def test_a_label_of_many_is_a_foreground(name):
    formula, one = METRICS[name], scene(MULTILABEL, classes=3)
    theta = drawn_theta(formula)
    classes = [0] if name != "biou" else None
    for c in range(3):
        part = slice(c, c + 1)
        binary = value_and_gradient(
            SurrogateLoss(formula, theta=theta, task=BINARY), one.logits[:, part], one.labels[:, part]
        )
        single = slice(None) if classes else part
        loss = SurrogateLoss(formula, theta=theta, task=MULTILABEL, classes=[c] if classes else "all")
        value, gradient = value_and_gradient(loss, one.logits[:, single], one.labels[:, single])
        assert_close((value, gradient[:, part] if classes else gradient), binary, rtol=1e-5, atol=1e-6)
        own = score(one.logits[:, single], one.labels[:, single], formula, 3 if classes else 1, task="multilabel",
                    classes=[c] if classes else None)  # fmt: skip
        assert_close(own, score(one.logits[:, part], one.labels[:, part], formula, task="binary"))


@pytest.mark.parametrize(("shape", "relaid"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", ["miou+bf1", *slow([("miou",)])])
def test_logits_and_labels_of_binary_have_any_layout(name, shape, relaid):
    one = scene(BINARY, shape)
    loss = SurrogateLoss(name, task="binary")
    expected = value_and_gradient(loss, one.logits, one.labels)
    for logits_as, labels_as in [(relaid, lambda x: x), (lambda x: x, relaid), (relaid, relaid)]:
        value, gradient = value_and_gradient(loss, logits_as(one.logits), labels_as(one.labels))
        assert_close((value, gradient.view_as(one.logits)), expected)
        metric = score(logits_as(one.logits), labels_as(one.labels), name, task="binary")
        assert_close(metric, score(one.logits, one.labels, name, task="binary"))
        predicted = logits_as(one.logits) > 0
        assert_close(score(predicted, labels_as(one.labels), name, task="binary"), metric)
        strided = torch.stack([labels_as(one.labels)] * 2, dim=-1)[..., 0]
        assert_close(loss(logits_as(one.logits), strided), expected[0])


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, torch.bool], ids=str)
@pytest.mark.parametrize("task", [BINARY, *slow([(MULTILABEL,)])], ids=lambda task: task.name)
def test_labels_have_any_type(task, dtype):
    one = scene(task)
    ignore_index = 100
    labels = one.labels.where(one.labels != IGNORE, ignore_index)
    valid = labels != ignore_index
    loss = SurrogateLoss("miou+bf1", task=task, ignore_index=ignore_index)
    expected = value_and_gradient(loss, one.logits, labels)
    given = (labels * valid if dtype == torch.bool else labels).to(dtype)
    assert_close(value_and_gradient(lambda x, y: loss(x, y, valid), one.logits, given), expected)
    options = {"task": task, "ignore_index": ignore_index, "valid": valid}
    metric = score(one.logits, labels, "miou+bf1", one.num_classes, **options)
    assert_close(score(one.logits, given, "miou+bf1", one.num_classes, **options), metric)
    if not dtype.is_floating_point:
        preds = (one.logits > 0).to(dtype)
        assert_close(score(preds, given, "miou+bf1", one.num_classes, **options), metric)


def test_a_label_that_its_type_does_not_hold_is_ignored_nowhere():
    """uint8 255 equals -1 in torch's comparison, int8 -1 equals 255."""
    logits, labels = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1, 0], [1, 0]]]], dtype=torch.int8)
    for dtype, ignore_index, other in ((torch.int8, 255, -1), (torch.uint8, -1, 255)):
        spoilt = labels.to(dtype)
        spoilt[..., 0, 0] = other
        with pytest.raises(ValueError, match=r"labels must lie in \[0, 1\]"):
            surrogate_loss(logits, spoilt, "miou", task="binary", ignore_index=ignore_index)


@every_pair
def test_probabilities_are_their_logits(formula, task):
    one, theta = scene(task), drawn_theta(formula)
    activation = SOFTMAX if isinstance(task, Multiclass) else SIGMOID
    seen = torch.ones_like(one.ignored)
    loss, other = (SurrogateLoss(formula, theta=theta, task=task, from_logits=given) for given in (True, False))
    expected = value_and_gradient(loss, one.logits, one.labels)
    result = value_and_gradient(lambda x, y: other(activation.probs(x, seen), y), one.logits, one.labels)
    assert_close(result, expected, rtol=1e-4, atol=1e-6)
    probs = activation.probs(one.logits, seen)
    metric = score(probs, one.labels, formula, one.num_classes, task=task, from_logits=False)
    assert_close(metric, score(one.logits, one.labels, formula, one.num_classes, task=task))
    spoilt = probs.masked_fill(one.ignored, 7.0)  # ignored pixels need not hold probabilities
    assert_close(other(spoilt, one.labels), expected[0])


@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("task", [Binary, Multilabel])
def test_the_threshold_is_that_of_the_probability(task, from_logits):
    one = scene(task(), (2, 9, 8))
    probs = one.logits.sigmoid()
    for threshold in (0.1, 0.5, 0.9):
        given = one.logits if from_logits else probs
        at = score(given, one.labels, "miou", one.num_classes, task=task(threshold), from_logits=from_logits)
        assert_close(at, score(probs > threshold, one.labels, "miou", one.num_classes, task=task()))
    assert not SurrogateLoss("miou", task=task(0.1))(one.logits, one.labels).isnan()


@every_task
def test_a_copy_of_a_loss_has_the_same_activation(task):
    """The kernels know activations by identity."""
    loss = SurrogateLoss("miou", task=task)
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert other.activation is loss.activation
        assert_close(other(*scene(task)[:2]), loss(*scene(task)[:2]), rtol=0, atol=0)


@every_pair
def test_soft_labels_that_are_crisp_are_crisp_labels(formula, task):
    one, theta = scene(task), drawn_theta(formula)
    loss = SurrogateLoss(formula, theta=theta, task=task)
    soft = one_hot(one.labels, 3) if isinstance(task, Multiclass) else one.labels.float()
    expected = value_and_gradient(loss, one.logits, one.labels)
    for dtype in FLOATS:
        assert_close(value_and_gradient(loss, one.logits, soft.to(dtype)), expected, rtol=1e-4, atol=1e-6)


def test_functions_are_the_modules():
    one = scene(BINARY)
    options = {"task": "binary", "ignore_index": IGNORE}
    metric = FormulaMetric("miou", **options)
    metric.update(one.logits, one.labels)
    assert_close(score(one.logits, one.labels, "miou", **options), metric.compute())
    theta = drawn_theta(METRICS["miou"])
    loss = SurrogateLoss("miou", theta, "bezier", aggregate="image", **options)
    ours = surrogate_loss(one.logits, one.labels, "miou", theta, aggregate="image", **options)
    assert_close(ours, loss(one.logits, one.labels), rtol=0, atol=0)
