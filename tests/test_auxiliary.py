"""The auxiliary head: what it adds to the loss, to the optimiser and to the weights, and what it leaves alone."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from helpers.members import slow
from helpers.networks import small
from helpers.trained_runs import write_trained
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING, create_model
from torch import nn
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.auxiliary import NAME, FCNHead, add_auxiliary, auxiliary_of
from autosegloss.training.module import SegmentationModule, logits_of
from autosegloss.training.optimizers import parameter_groups
from autosegloss.training.trained import TrainedRun

ARCHITECTURES = sorted({*MODEL_ARCHITECTURES_MAPPING} - {"deeplabv3plus", "unet"})


def network(arch: str = "deeplabv3plus", **options) -> nn.Module:
    torch.manual_seed(0)
    vit = {"encoder_name": "tu-test_vit3", "dynamic_img_size": True}
    encoder = vit if arch == "dpt" else {"encoder_name": "tu-test_resnet"}
    made = create_model(arch, encoder_weights=None, classes=3, **encoder)
    add_auxiliary(made, partial(FCNHead, channels=8, **options), classes=3)
    return made


def step(made: nn.Module, loss: nn.Module, images: torch.Tensor, labels: torch.Tensor, monkeypatch) -> torch.Tensor:
    module = SegmentationModule(made, loss, segmentation_metrics(3), None).train()
    monkeypatch.setattr(
        SegmentationModule, "trainer", type("Quiet", (), {"loggers": (), "progress_bar_callback": None})
    )
    return module.training_step((images, labels))


@pytest.mark.parametrize("weight", [0.4, 0.0])
def test_the_loss_is_main_plus_weight_times_auxiliary(weight, monkeypatch):
    """With statistics of batch normalisation, so that both passes see the same network."""
    made, loss = network(dropout=0.0, weight=weight), SurrogateLoss("miou")
    images, labels = torch.randn(2, 3, 70, 90), torch.randint(3, (2, 70, 90))
    for part in made.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    head = made.auxiliary_head
    found = step(made, loss, images, labels, monkeypatch)
    padded = F.pad(images, (0, 6, 0, 26))
    maps = made.encoder(padded)[-2]
    hidden = F.batch_norm(F.conv2d(maps, head.convolution.weight, padding=1), None, None, training=True).relu()
    logits = F.conv2d(hidden, head.classifier.weight, head.classifier.bias)
    scaled = F.interpolate(logits, (96, 96), mode="bilinear", align_corners=False)[..., :70, :90]
    assert_close(found, loss(logits_of(made, images), labels) + weight * loss(scaled, labels))
    found.backward()
    assert (head.classifier.weight.grad.abs().max() > 0) == (weight > 0)


@pytest.mark.parametrize("arch", ["deeplabv3plus", "unet", *slow([(arch,) for arch in ARCHITECTURES])])
def test_it_learns_with_every_architecture_and_predictions_do_without_it(arch, monkeypatch):
    made = network(arch)
    images, labels = torch.randn(2, 3, 128, 128), torch.randint(3, (2, 128, 128))
    step(made, nn.CrossEntropyLoss(), images, labels, monkeypatch).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in made.auxiliary_head.parameters() if parameter.ndim > 1)
    made.eval()
    before = logits_of(made, images)
    delattr(made, NAME)
    assert_close(logits_of(made, images), before, rtol=0, atol=0)


def test_other_weights_and_what_is_drawn_later_are_as_without_it(tmp_path):
    """Off is the default; a run that had one is read as a network without it."""
    runs = [write_trained(tmp_path / name, *own) for name, own in {"off": [], "on": ["auxiliary=fcn"]}.items()]
    drawn = []
    for folder in runs:
        torch.manual_seed(5)
        drawn.append((TrainedRun.of(folder).network(6, 3), torch.rand(3)))
    off, on = (made for made, _ in drawn)
    saved = [torch.load(folder / "weights.pt") for folder in runs]
    assert {name.split(".")[0] for name in saved[1].keys() - saved[0].keys()} == {NAME}
    assert_close({name: saved[1][name] for name in saved[0]}, saved[0], rtol=0, atol=0)
    assert_close(on.state_dict(), off.state_dict(), rtol=0, atol=0)
    assert auxiliary_of(on) is None
    made = small("tiny")
    state = torch.get_rng_state()
    add_auxiliary(made, FCNHead, classes=5)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_learns_at_the_rate_of_the_head_or_at_its_own():
    for own, rates in ((None, [1, 10]), (3, [1, 10, 3])):
        made = network(head_multiplier=own)
        groups = parameter_groups(made, lr=1, head_multiplier=10)
        assert [group["lr"] for group in groups] == rates
        assert {id(part) for part in groups[-1]["params"]} >= {id(part) for part in made.auxiliary_head.parameters()}
        assert sum(len(group["params"]) for group in groups) == len(list(made.parameters()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": -7}, r"auxiliary.feature: expected a map .* from -6 to 5, whose channels are \[3, .*, got -7"),
        ({"feature": 1.0}, "auxiliary.feature: expected a map .*, got 1.0"),
        ({"weight": -1}, "auxiliary.weight must be a number of 0 or more, got -1"),
        ({"dropout": 1}, "auxiliary.dropout must be below 1, got 1"),
        ({"head_multiplier": "2"}, "auxiliary.head_multiplier must be a number of 0 or more, got '2'"),
        ({"channels": 0}, "auxiliary.channels: expected an integer of 1 or more"),
    ],
)
def test_options_out_of_range_are_told(options, message):
    made = small("tiny")
    with pytest.raises(InputError, match=message):
        add_auxiliary(made, partial(FCNHead, **options), classes=5)
    assert auxiliary_of(made) is None


def test_a_network_without_maps_is_told():
    with pytest.raises(InputError, match=r"auxiliary: expected .* `encoder` of .*; Conv2d has none: leave"):
        add_auxiliary(nn.Conv2d(3, 2, 1), FCNHead, classes=2)
