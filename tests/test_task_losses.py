"""The losses of conf/loss for a foreground, and for classes that do not exclude each other."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers.loss_members import NAMES, made
from hydra.errors import InstantiationException
from torch import Tensor
from torch.testing import assert_close

from autosegloss import SurrogateLoss, ThetaCard
from autosegloss.losses import Scaled

COUNTS = (70, 30)  # pixels of background and foreground in a training set
AS_TWO_CLASSES = ["cross_entropy", "wce", "dpce", "ssim", "ssim_only"]
WITHOUT_MULTILABEL = ["focal", "wce", "dpce", "ssim", "ssim_only"]
MEMBERS = [("binary", name) for name in NAMES]
MEMBERS += [("multilabel", name) for name in NAMES if name not in WITHOUT_MULTILABEL]

every_member = pytest.mark.parametrize(("task", "name"), MEMBERS)
loss_of = partial(made, counts=COUNTS)


def batch(task: str, ignored: float = 0.3) -> tuple[Tensor, Tensor]:
    """Logits (2, C, 9, 8), and labels as they are loaded: (2, 9, 8) of a binary task."""
    draw = torch.Generator().manual_seed(3)
    channels = {"binary": 1, "multilabel": 3}[task]
    logits = 2 * torch.randn(2, channels, 9, 8, generator=draw)
    labels = (torch.rand(2, channels, 9, 8, generator=draw) < 0.4).long()
    labels[torch.rand(labels.shape, generator=draw) < ignored] = 255
    return logits, labels[:, 0] if task == "binary" else labels


def probabilities(logits: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels, and margins (2 y - 1) z of the pixels that count, float64 (P,)."""
    logits, labels = logits[:, 0].double().numpy(), labels.numpy()
    z, y = logits[labels != 255], labels[labels != 255].astype(float)
    return 1 / (1 + np.exp(-z)), y, (2 * y - 1) * z


def dice(p, y, _):
    return 1 - 2 * (p * y).sum() / (p.sum() + y.sum())


def jaccard(p, y, _):
    return 1 - (p * y).sum() / (p.sum() + y.sum() - (p * y).sum())


def focal(p, y, _):
    right = np.where(y == 1, p, 1 - p)
    return (-((1 - right) ** 2) * np.log(right)).mean()


def cross_entropy(p, y, _):
    return -np.log(np.where(y == 1, p, 1 - p)).mean()


def lovasz(_, y, margins):
    """The Lovász extension of 1 - IoU at the hinge errors: each error times what its pixel adds to the set of wrong."""
    errors, total, wrong, before = np.maximum(0, 1 - margins), 0.0, [], 0.0
    for pixel in np.argsort(-(1 - margins)):
        wrong.append(pixel)
        missed, added = y[wrong].sum(), (1 - y[wrong]).sum()
        now = (missed + added) / (y.sum() + added)
        total, before = total + errors[pixel] * (now - before), now
    return total


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("reference", [dice, jaccard, focal, cross_entropy, lovasz], ids=lambda one: one.__name__)
def test_a_loss_of_a_foreground_is_its_definition(reference, ignored):
    logits, labels = batch("binary", ignored)
    expected = reference(*probabilities(logits, labels))
    assert_close(loss_of(reference.__name__, task="binary")(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", AS_TWO_CLASSES)
def test_a_foreground_is_the_second_of_two_classes_with_the_logits_0_and_z(name):
    logits, labels = batch("binary")
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    assert_close(loss_of(name, task="binary")(logits, labels), loss_of(name)(two, labels))


@every_member
def test_ignored_pixels_change_neither_value_nor_gradient(task, name):
    logits, labels = batch(task)
    ignored = (labels == 255).view(logits.shape)
    first, second = (filled.requires_grad_() for filled in (logits.clone(), logits.masked_fill(ignored, torch.nan)))
    loss = loss_of(name, task=task)
    values = [loss(first, labels), loss(second, labels)]
    for value in values:
        value.backward()
    assert_close(*values, rtol=0, atol=0)
    assert_close(first.grad, second.grad, rtol=0, atol=0)
    assert not first.grad[ignored].any()
    assert first.grad[~ignored].any()


@every_member
def test_a_batch_of_ignored_pixels_alone_has_loss_and_gradient_0(task, name):
    logits, labels = batch(task)
    logits.requires_grad_()
    loss = loss_of(name, task=task)(logits, torch.full_like(labels, 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_a_foreground_may_have_a_channel(name):
    logits, labels = batch("binary")
    loss = loss_of(name, task="binary")
    assert_close(loss(logits, labels[:, None]), loss(logits, labels), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "jaccard"])
def test_a_loss_of_several_classes_is_that_of_each_put_together(name):
    logits, labels = batch("multilabel", ignored=0.0)
    each = [loss_of(name, task="binary")(logits[:, c : c + 1], labels[:, c]) for c in range(3)]
    assert_close(loss_of(name, task="multilabel")(logits, labels), torch.stack(each).mean())


@pytest.mark.parametrize("name", WITHOUT_MULTILABEL)
def test_a_loss_without_a_form_for_several_classes_says_so(name):
    with pytest.raises(InstantiationException, match=r"has no form for task=multilabel, where .* take cross_entropy"):
        loss_of(name, task="multilabel")


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_scale_ce_goes_by_the_cross_entropy_of_the_task(task):
    logits, labels = batch(task)
    loss = Scaled(loss_of("dice", task=task), "ce", task=task)
    gradients = []
    for each in (loss, loss_of("cross_entropy", task=task)):
        own = logits.clone().requires_grad_()
        each(own, labels).backward()
        gradients.append(own.grad.norm())
    assert_close(*gradients)


def test_a_card_keeps_its_task_and_a_loss_of_it_takes_it(tmp_path):
    card = ThetaCard.load("miou")
    assert card.task == "multiclass"
    ThetaCard(card.metric, card.curve, card.theta, task="binary").save(tmp_path / "card.yaml")
    assert SurrogateLoss.from_pretrained(tmp_path / "card.yaml").task.name == "binary"
    assert SurrogateLoss.from_pretrained(tmp_path / "card.yaml", task="multilabel").task.name == "multilabel"
