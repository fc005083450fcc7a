"""The factor before a loss: value and gradient, its calibration on cross-entropy, its way to cards and states."""

import pytest
import torch
from helpers.laws import batch, value_and_gradient
from helpers.loss_members import made
from helpers.members import every_metric, slow
from hydra import compose, initialize_config_dir
from torch import nn
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss.files import config_folder
from autosegloss.losses import Scaled
from autosegloss.training.run import make_loss

HANDMADE = ("cross_entropy", "dice", "lovasz", "jaccard", "focal", "ssim_only", "dpce")


def gradient_norm(loss, logits, labels):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, labels), logits)[0].norm()


@every_metric
def test_a_surrogate_has_its_value_and_gradient_times_the_scale(formula):
    logits, labels = batch((2, 16, 16))
    value, gradient = value_and_gradient(SurrogateLoss(formula), logits, labels)
    scaled = value_and_gradient(SurrogateLoss(formula, scale=2.5), logits, labels)
    assert_close(scaled, (2.5 * value, 2.5 * gradient))


@pytest.mark.parametrize("name", HANDMADE)
def test_any_loss_has_its_value_and_gradient_times_the_scale(name):
    logits, labels = batch((2, 16, 16))
    value, gradient = value_and_gradient(made(name), logits, labels)
    scaled = value_and_gradient(Scaled(made(name), 2.5), logits, labels)
    assert_close(scaled, (2.5 * value, 2.5 * gradient))


@every_metric
def test_ce_makes_the_gradient_of_the_first_batch_as_large_as_cross_entropys(formula):
    logits, labels = batch((2, 16, 16), ignored=0.2)
    loss = SurrogateLoss(formula, scale="ce")
    expected = gradient_norm(nn.CrossEntropyLoss(ignore_index=255), logits, labels)
    assert_close(gradient_norm(loss, logits, labels), expected)
    first = float(loss.scale)
    loss(*batch((2, 16, 16), seed=1))
    assert float(loss.scale) == first


@pytest.mark.parametrize("name", HANDMADE)
def test_ce_serves_every_loss(name):
    logits, labels = batch((2, 16, 16))
    expected = gradient_norm(nn.CrossEntropyLoss(ignore_index=255), logits, labels)
    assert_close(gradient_norm(Scaled(made(name), "ce"), logits, labels), expected)


def test_half_logits_set_the_scale_of_their_values():
    logits, labels = batch((2, 16, 16))
    half, whole = SurrogateLoss("miou", scale="ce"), SurrogateLoss("miou", scale="ce")
    half(logits.bfloat16(), labels)
    whole(logits.bfloat16().float(), labels)
    assert_close(half.scale, whole.scale, rtol=1e-6, atol=0)


def test_a_batch_without_a_gradient_leaves_the_setting_to_the_next():
    logits, labels = batch((2, 16, 16))
    loss = SurrogateLoss("miou", scale="ce")
    assert loss(logits, torch.full_like(labels, 255)) == 0
    assert loss.scale.isnan()
    loss(logits, labels)
    assert loss.scale > 1


def test_ce_is_set_without_gradients_too():
    logits, labels = batch((2, 16, 16))
    with_gradients, without = SurrogateLoss("miou", scale="ce"), SurrogateLoss("miou", scale="ce")
    with_gradients(logits, labels)
    with torch.inference_mode():
        without(logits, labels)
    assert_close(without.scale, with_gradients.scale)


def test_a_scale_that_is_set_is_in_the_state():
    logits, labels = batch((2, 16, 16))
    loss, other = SurrogateLoss("miou", scale="ce"), SurrogateLoss("miou", scale="ce")
    loss(logits, labels)
    other.load_state_dict(loss.state_dict())
    other(*batch((2, 16, 16), seed=1))
    assert_close(other.scale, loss.scale, rtol=0, atol=0)


def test_a_state_of_an_earlier_version_has_scale_1():
    logits, labels = batch()
    state = SurrogateLoss("miou").state_dict()
    del state["scale"]
    loss = SurrogateLoss("miou", scale=3.0)
    loss.load_state_dict(state)
    assert_close(loss(logits, labels), SurrogateLoss("miou")(logits, labels))


def test_half_precision_keeps_the_scale():
    assert float(SurrogateLoss("miou", scale=3.14159).half().scale) == pytest.approx(3.14159)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "CE", None, True])
def test_another_scale_is_refused(scale):
    with pytest.raises(InputError, match="scale: expected a number above 0, or 'ce'"):
        SurrogateLoss("miou", scale=scale)
    with pytest.raises(InputError, match="scale: expected"):
        ThetaCard("miou", "bezier", {}, scale=scale)


def test_a_card_keeps_the_scale_and_an_earlier_card_has_1(tmp_path):
    ThetaCard("miou", "bezier", {}, scale=3.3).save(tmp_path / "card.yaml")
    assert float(SurrogateLoss.from_pretrained(tmp_path / "card.yaml").scale) == pytest.approx(3.3)
    assert float(SurrogateLoss.from_pretrained(tmp_path / "card.yaml", scale=2).scale) == 2
    text = (tmp_path / "card.yaml").read_text().replace("scale: 3.3\n", "")
    (tmp_path / "old.yaml").write_text(text)
    assert ThetaCard.load(tmp_path / "old.yaml").scale == 1


@pytest.mark.parametrize(
    "loss", ["wce", "naive", "schedule", *slow([("dice",), ("searched_miou",), ("searched_miou_bf1",)])]
)
def test_loss_scale_serves_every_loss_of_conf(loss):
    logits, labels = batch((2, 16, 16))
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        plain, doubled = (compose("train", [f"loss={loss}", f"loss.scale={scale}"]) for scale in (1, 2))
    losses = [make_loss(cfg, ignore_index=255) for cfg in (plain, doubled)]
    for part in (part for one in losses for part in one.modules() if hasattr(part, "measure")):
        part.measure(torch.tensor([5, 3, 2]))
    value, expected = losses[1](logits, labels), 2 * losses[0](logits, labels)
    assert_close(value, expected)
