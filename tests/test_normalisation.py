"""Each encoder sees images as its weights expect them; nothing changes where that is ImageNet's normalisation."""

import os
from dataclasses import asdict

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from helpers.networks import built
from huggingface_hub import constants
from torch import nn
from torch.testing import assert_close

from autosegloss.data.transforms import normalise
from autosegloss.errors import InputError
from autosegloss.training.module import logits_of
from autosegloss.training.networks import build_network
from autosegloss.training.normalisation import (
    Normalisation,
    encoder_normalisation,
    renormalise,
    saved_normalisation,
)
from autosegloss.training.weights import load_exactly

HALF = Normalisation((127.5,) * 3, (127.5,) * 3)
PIXELS = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def seen(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """What the first layer of a network gets for these pixels."""
    got = []
    next(part for part in network.modules() if isinstance(part, nn.Conv2d)).register_forward_pre_hook(
        lambda _, inputs: got.append(inputs[0])
    )
    logits_of(network.eval(), normalise(pixels))
    return got[0]


def plain(classes: int, in_channels: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, classes, 1))


def test_another_normalisation_is_that_of_the_pixels():
    network = build_network(plain, classes=2, normalisation={"mean": [127.5] * 3, "std": [127.5] * 3})
    assert_close(seen(network, PIXELS), PIXELS / 127.5 - 1)
    uneven = {"mean": [10, 20, 30], "std": [1, 2, 3]}
    three = torch.tensor([1.0, 2, 3]).view(3, 1, 1)
    assert_close(seen(build_network(plain, classes=2, normalisation=uneven), PIXELS), (PIXELS - 10 * three) / three)


def test_bands_of_another_number_take_the_averages():
    network = build_network(plain, classes=2, bands=4, normalisation={"mean": [10, 20, 30], "std": [1, 2, 3]})
    pixels = torch.cat([PIXELS, PIXELS[:, :1]], dim=1)
    assert_close(seen(network, pixels), (pixels - 20.0) / 2)


def test_imagenets_normalisation_leaves_a_network_as_it_is():
    for setting in (None, "imagenet", {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}):
        network = build_network(plain, classes=2, normalisation=setting)
        assert list(network.state_dict()) == ["0.weight", "0.bias"]
        assert torch.equal(seen(network, PIXELS), normalise(PIXELS))


def test_random_weights_take_imagenets_normalisation_whatever_the_encoder():
    network = built("tiny")  # the weights of timm's test_resnet expect 0.5
    assert not hasattr(network, "input_scale")
    assert torch.equal(seen(network, PIXELS), normalise(PIXELS))


def test_the_padding_stays_the_mean_colour():
    network = build_network(plain, classes=2, normalisation={"mean": [127.5] * 3, "std": [127.5] * 3})
    padded = seen(network, PIXELS[:, :, :40, :50])[:, :, 40:]
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    assert_close(padded, (mean / 127.5 - 1).expand_as(padded))


@pytest.mark.parametrize(
    ("encoder", "weights", "mean"),
    [
        ("tu-tf_efficientnet_lite0", None, 127.5),
        ("tu-vit_tiny_patch16_224.augreg_in21k", "imagenet", 127.5),
        ("tu-resnet18", True, 123.675),
        ("tu-vit_base_patch16_clip_224.openai", None, 255 * 0.48145466),
        ("hrnet_w18_small", "imagenet", 123.675),
        ("timm-mobilenetv3_large_100", "imagenet", 127.5),
    ],
)
def test_encoders_of_timm_expect_what_timm_says(encoder, weights, mean):
    assert encoder_normalisation(encoder, weights).mean[0] == pytest.approx(mean)


def test_encoders_of_smp_expect_what_their_file_of_settings_says(monkeypatch):
    settings = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "input_range": [0, 1], "input_space": "RGB"}
    monkeypatch.setattr(smp.encoders, "get_preprocessing_params", lambda name, weights: settings)
    assert encoder_normalisation("xception", "imagenet").mean == pytest.approx((127.5, 102, 76.5))
    settings |= {"mean": [104, 117, 123], "std": [1, 1, 1], "input_range": [0, 255]}
    assert encoder_normalisation("xception", "imagenet") == Normalisation((104, 117, 123), (1, 1, 1))
    settings["input_space"] = "BGR"
    with pytest.raises(InputError, match="encoder xception expects BGR, images are RGB: choose another"):
        encoder_normalisation("xception", "imagenet")
    settings.clear()
    assert encoder_normalisation("xception", "imagenet") is None


def test_without_a_host_an_encoder_expects_what_timms_network_of_its_name_does(monkeypatch):
    monkeypatch.setattr("autosegloss.training.hub.hub_answers", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "nowhere")
    assert encoder_normalisation("resnet34", "imagenet").is_imagenets()
    assert encoder_normalisation("dpn68", None).mean == pytest.approx((124, 117, 104))
    assert encoder_normalisation("mit_b0", None) is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("imagenett", r"unknown network.normalisation 'imagenett': choose one of imagenet"),
        ({"mean": [1, 2, 3]}, "network.normalisation: expected mean and std, got mean"),
        ({"mean": [1, 2], "std": [1, 2, 3]}, r"three numbers of mean and of std, got \(1, 2\)"),
        ({"mean": [1, 2, 3], "std": [1, 0, 3]}, "std must be above 0, got"),
    ],
)
def test_a_wrong_normalisation_is_told(setting, message):
    with pytest.raises(InputError, match=message):
        build_network(plain, classes=2, normalisation=setting)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_weights_keep_the_normalisation_they_were_trained_with(bands):
    network = build_network(plain, classes=2, bands=bands, normalisation={"mean": [10, 20, 30], "std": [1, 2, 3]})
    pixels = torch.cat([PIXELS, PIXELS], dim=1)[:, :bands]
    other = build_network(plain, classes=2, bands=bands)
    load_exactly(other, network.state_dict(), "weights.pt")
    assert torch.equal(seen(other, pixels), seen(network, pixels))
    kept = saved_normalisation({f"network.{name}": part for name, part in network.state_dict().items()})
    again = build_network(plain, classes=2, bands=bands, normalisation=asdict(kept))
    assert_close(again.input_scale, network.input_scale)
    assert_close(again.input_shift, network.input_shift)


def test_weights_without_one_take_it_away():
    network = build_network(plain, classes=2)
    state = {name: part.clone() for name, part in network.state_dict().items()}
    renormalise(network, HALF, bands=3)
    load_exactly(network, state, "weights.pt")
    assert torch.equal(seen(network, PIXELS), normalise(PIXELS))
    assert saved_normalisation(state) is None


@pytest.mark.skipif("AUTOSEGLOSS_TEST_WEIGHTS" not in os.environ, reason="needs weights of tf_efficientnet_lite0")
def test_pretrained_features_are_those_of_timms_own_preprocessing():
    path = os.environ["AUTOSEGLOSS_TEST_WEIGHTS"]
    network = built("smp", "network.encoder_name=tu-tf_efficientnet_lite0", f"network.weights={path}").eval()
    alone = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    alone.load_state_dict(torch.load(path, weights_only=True), strict=False)
    mean, std = (torch.tensor(alone.default_cfg[part]).view(3, 1, 1) for part in ("mean", "std"))
    got = []
    network.encoder.register_forward_hook(lambda _, inputs, features: got.append(features))
    with torch.no_grad():
        logits_of(network, normalise(PIXELS))
        for ours, theirs in zip(got[0][1:], alone((PIXELS / 255 - mean) / std), strict=True):
            assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
