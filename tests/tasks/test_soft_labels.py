"""Soft labels: what a loss of labels against themselves is, and that scores stay in their range."""

import pytest
import torch
from helpers.laws import value_and_gradient
from helpers.members import METRICS, every_metric, slow
from helpers.task_scenes import AGGREGATES, TASKS, drawn_theta, every_pair, every_task, scene, soft
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra import DenseMap
from autosegloss.algebra.activations import SIGMOID
from autosegloss.algebra.maps import SoftLabels
from autosegloss.formulas import BoundaryF1
from autosegloss.tasks.multiclass import Multiclass

# Without curves the other losses of soft labels against themselves are 0, the least value there is. These compare the
# soft boundary of the prediction, which products make as in the paper, with the distance of degrees in the labels.
BY_PRODUCTS = ("bf1", "biou_cheng", "nsd", "miou+bf1")
MINIMAL = [name for name in METRICS if name not in BY_PRODUCTS]


def itself(task, labels):
    """Labels as probabilities."""
    return labels.where(labels <= 1, 1 / 3 if isinstance(task, Multiclass) else 0.5)


def others(task, labels, seed):
    """Probabilities in the place of the labels': random ones, those next to the labels, the likeliest class."""
    probs = itself(task, labels)
    drawn = itself(
        task, soft(task, torch.zeros_like(labels[:, 0] if isinstance(task, Multiclass) else labels), seed=seed)
    )
    yield drawn
    yield 0.9 * probs + 0.1 * drawn
    yield (probs == probs.amax(1, keepdim=True)).float() if isinstance(task, Multiclass) else (probs > 0.5).float()


@every_task
@pytest.mark.parametrize("name", ["miou", "biou", *slow([(name,) for name in MINIMAL if name not in ("miou", "biou")])])
def test_without_curves_the_loss_of_labels_against_themselves_is_0_and_minimal(name, task):
    for seed in range(3):
        labels = soft(task, scene(task, seed=seed).labels, seed=seed)
        loss = SurrogateLoss(METRICS[name], task=task, from_logits=False)
        least = loss(itself(task, labels), labels)
        assert_close(least, torch.tensor(0.0), rtol=0, atol=1e-6)
        for probs in others(task, labels, seed + 100):
            assert loss(probs, labels) >= least - 1e-6


@every_task
@pytest.mark.parametrize("name", ["miou", "fwiou", "miou+biou"])
def test_any_other_prediction_has_a_higher_loss_by_iou(name, task):
    labels = soft(task, scene(task, ignored=0).labels)
    loss = SurrogateLoss(METRICS[name], task=task, from_logits=False)
    for probs in others(task, labels, 7):
        assert loss(probs, labels) > 0.005


def descended(loss, logits, labels, steps):
    """Logits after some steps down the loss."""
    logits = logits.clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(logits, labels).backward()
        optimizer.step()
    return logits.detach()


def test_bf1_of_soft_labels_has_its_least_value_elsewhere():
    """Equal degrees side by side are no boundary of the labels, and one of the prediction."""
    labels = torch.full((1, 1, 9, 12), 0.4)
    labels[..., :3] = 1.0
    loss, start = SurrogateLoss(BoundaryF1(tolerance=1), task="binary"), SIGMOID.logits(labels)
    assert loss(descended(loss, start, labels, 20), labels) < loss(start, labels) - 0.01


@pytest.mark.parametrize("task", [TASKS["binary"], *slow([(TASKS[name],) for name in ("multilabel", "multiclass")])])
def test_descent_by_iou_leads_to_the_soft_labels(task):
    labels = soft(task, scene(task, (2, 5, 6), ignored=0).labels)
    logits = descended(SurrogateLoss("miou", task=task), torch.zeros_like(labels), labels, 120)
    probs = task.activation.probs(logits, torch.ones_like(labels[:, :1], dtype=torch.bool))
    assert (probs - labels).abs().mean() < 0.05


@every_pair
def test_losses_of_soft_labels_lie_in_their_range_for_every_theta(formula, task):
    one = scene(task)
    labels = soft(task, one.labels)
    size = thetas.size(formula, SurrogateLoss(formula).curve)
    corners = torch.randint(2, (2, size), generator=torch.Generator().manual_seed(0)).double()
    for theta in (drawn_theta(formula), *corners):
        for aggregate in AGGREGATES:
            loss = SurrogateLoss(formula, theta=theta, task=task, aggregate=aggregate)
            value, gradient = value_and_gradient(loss, one.logits, labels)
            assert -1e-5 <= value <= 1 + 1e-5
            assert gradient.isfinite().all()
            perfect = itself(task, labels)
            assert (
                -1e-5 <= SurrogateLoss(formula, theta=theta, task=task, from_logits=False)(perfect, labels) <= 1 + 1e-5
            )


@every_metric
def test_labels_take_no_gradient(formula):
    one = scene(TASKS["multilabel"])
    labels = soft(TASKS["multilabel"], one.labels).requires_grad_()
    loss = SurrogateLoss(formula, task="multilabel")
    gradient = torch.autograd.grad(loss(one.logits.requires_grad_(), labels), [one.logits, labels], allow_unused=True)
    assert gradient[1] is None


OPERATIONS = {
    "and": lambda a, b, valid: a & b,
    "or": lambda a, b, valid: a | b,
    "xor": lambda a, b, valid: a ^ b,
    "edge": lambda a, b, valid: (a ^ a.erode(3, valid)).within(valid),
    "dilate": lambda a, b, valid: a.dilate(5),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_soft_labels_of_0_and_1_are_a_crisp_map(operation):
    a, b, valid = torch.rand(3, 2, 3, 7, 8, generator=torch.Generator().manual_seed(0)) > 0.4
    valid = valid[:, :1]
    crisp = operation(DenseMap(a & valid), DenseMap(b & valid), valid)
    degrees = operation(SoftLabels((a & valid).float()), SoftLabels((b & valid).float()), valid)
    assert_close(degrees.dense(), crisp.dense().float())
    assert torch.equal(degrees.any_class(), crisp.any_class())
