"""The loss by plain operations: twice differentiable, by theta too, and transformed by torch.func."""

import pytest
import torch
from helpers.laws import batch, value_and_gradient
from helpers.members import ABLATIONS, METRICS, covering, every_metric
from helpers.task_scenes import drawn_theta, every_task, scene
from torch.func import functional_call, grad, vmap
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.curves import Bezier, Identity, Linear, bezier
from autosegloss.functional import surrogate_loss

FAMILIES = {"bezier": Bezier(), "linear": Linear(), "identity": Identity(), **ABLATIONS}


@pytest.mark.parametrize(("formula", "curve"), covering(METRICS, FAMILIES))
def test_it_has_the_value_and_gradient_of_the_loss(formula, curve):
    theta = torch.rand(thetas.size(formula, curve), generator=torch.Generator().manual_seed(1))
    loss, (logits, labels) = SurrogateLoss(formula, theta, curve), batch(num_classes=4)
    expected = value_and_gradient(loss, logits, labels)
    assert_close(value_and_gradient(loss.dense, logits, labels), expected, rtol=1e-4, atol=1e-6)


@every_metric
def test_a_theta_of_zeros_and_ones_leaves_gradients_finite(formula):
    """Pieces without a width, and vertical ones."""
    logits, labels = batch()
    theta = torch.tensor(drawn_theta(formula)).round().requires_grad_()
    gradients = torch.autograd.grad(surrogate_loss(logits.requires_grad_(), labels, formula, theta), (logits, theta))
    assert all(each.isfinite().all() for each in gradients)


@every_metric
def test_grad_and_vmap_over_batches_and_thetas_are_loops(formula):
    (x, y), (x2, y2) = batch((2, 7, 8)), batch((2, 7, 8), seed=1)
    stacked, labels = torch.stack([x, x2]), torch.stack([y, y2])
    theta = torch.tensor([drawn_theta(formula, seed) for seed in range(2)])
    loss = SurrogateLoss(formula, theta[0])
    values, gradients = zip(*(value_and_gradient(loss, *each) for each in ((x, y), (x2, y2))), strict=True)
    assert_close(vmap(loss)(stacked, labels), torch.stack(values))
    assert_close(vmap(grad(loss))(stacked, labels), torch.stack(gradients), rtol=1e-4, atol=1e-6)
    of_thetas = vmap(lambda one: surrogate_loss(x, y, formula, one))(theta)
    assert_close(of_thetas, torch.stack([surrogate_loss(x, y, formula, one) for one in theta]))


@every_task
def test_every_task_goes_through_vmap(task):
    one, loss = scene(task), SurrogateLoss("miou", task=task)
    assert_close(vmap(loss)(one.logits[None], one.labels[None])[0], loss(one.logits, one.labels))


@pytest.mark.parametrize("name", ["miou", pytest.param("bf1", marks=pytest.mark.slow)])
def test_it_is_twice_differentiable_by_logits_and_theta(name, monkeypatch):
    monkeypatch.setattr(bezier, "_STEP", 2.0**-48)  # finite differences see the grid of control points
    logits, labels = batch((1, 5, 6))
    theta = (0.2 + 0.6 * torch.tensor(drawn_theta(METRICS[name]), dtype=torch.float64)).requires_grad_()
    given = logits.double().requires_grad_(), theta
    assert torch.autograd.gradcheck(lambda x, t: surrogate_loss(x, labels, name, t), given, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x, t: surrogate_loss(x, labels, name, t), given, fast_mode=True)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["gacc", "miou", "bf1"])
def test_a_second_derivative_beside_dense_is_refused(name, compiled):
    loss, (logits, labels) = SurrogateLoss(name), batch()
    step = torch.compile(loss, backend="eager", fullgraph=True) if compiled else loss
    x = logits.requires_grad_()
    value = step(x, labels)
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    whole = value + 100 * slope.square().sum()
    for differentiate in (lambda: torch.autograd.grad(whole, x, retain_graph=True), whole.backward):
        with pytest.raises(InputError, match=r"differentiated once: take loss.dense\(logits, labels\)"):
            differentiate()


def test_a_theta_of_a_network_would_not_be_trained():
    theta = torch.nn.Parameter(torch.rand(12))
    for given in (theta, {"and": theta[:6]}):
        with pytest.raises(InputError, match=r"functional.surrogate_loss\(.*theta=.*torch.func.functional_call"):
            SurrogateLoss("miou", theta=given)


def test_a_theta_that_requires_a_gradient_gets_one_in_every_place():
    logits, labels = batch()
    theta = torch.tensor(drawn_theta(METRICS["miou"]), requires_grad=True)
    (expected,) = torch.autograd.grad(surrogate_loss(logits, labels, "miou", theta), theta)
    loss = SurrogateLoss("miou", theta.detach())
    state = {"theta_and": theta[None, :6], "theta_or": theta[None, 6:]}
    assert_close(torch.autograd.grad(functional_call(loss, state, (logits, labels)), theta)[0], expected)
    loss.theta_or.requires_grad_()
    loss(logits, labels).backward()
    assert_close(loss.theta_or.grad[0], expected[6:])


def test_an_earlier_batch_has_to_set_the_scale():
    logits, labels = batch()
    loss = SurrogateLoss("miou", scale="ce")
    with pytest.raises(InputError, match="call the loss on a batch before"):
        grad(loss)(logits, labels)
    assert_close(loss.dense(logits, labels), loss(logits, labels))  # a plain call sets it as well
    assert_close(grad(loss)(logits, labels), value_and_gradient(loss, logits, labels)[1])
