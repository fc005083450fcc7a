"""Weights from a file, whatever they were saved from; one line says what fits."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from helpers.networks import built
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from autosegloss.errors import InputError
from autosegloss.training.networks import build_network


def unet(*overrides: str, encoder: str = "resnet18", bands: int = 3, classes: int = 5) -> nn.Module:
    return built("smp", f"network.encoder_name={encoder}", *overrides, bands=bands, classes=classes)


def saved(tmp_path, state, name="file.pt") -> str:
    path = tmp_path / name
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    return f"network.weights={path}"


def equal(state: dict, other: dict) -> None:
    assert state.keys() == other.keys()
    for name, part in state.items():
        assert_close(part, other[name].to(part.dtype))


def encoder_of(network: nn.Module) -> dict:
    return network.encoder.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "wrapper"),
    [("", None), ("module.", "state_dict"), ("model.", "model"), ("encoder.", None), ("model.backbone.", "state_dict")],
)
def test_weights_of_an_encoder_are_found_under_any_prefix(prefix, wrapper, tmp_path, capsys):
    own = torchvision.models.resnet18()
    state = {prefix + name: part for name, part in own.state_dict().items()}
    network = unet(saved(tmp_path, {wrapper: state, "epoch": 3} if wrapper else state))
    expected = own.state_dict()
    assert all(torch.equal(part, expected[name]) for name, part in encoder_of(network).items())
    said = capsys.readouterr().out
    assert "120 of 120 tensors of the encoder; the rest is drawn at random; the file's " in said
    assert f"{prefix}fc.weight, {prefix}fc.bias not used" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit3"])  # timm renames parts of the second
def test_weights_of_timm_fit_its_encoders(name, tmp_path):
    own = timm.create_model(name)
    for parameter in own.parameters():
        nn.init.normal_(parameter)
    path = saved(tmp_path, own.state_dict())
    arch = ["network.arch=dpt", "+network.dynamic_img_size=true"] if "vit" in name else ["network.arch=fpn"]
    network = unet(path, *arch, encoder=f"tu-{name}")
    ours = sorted(float(part.detach().double().sum()) for part in network.encoder.parameters())
    theirs = [float(part.detach().double().sum()) for part in own.parameters()]
    assert all(min(abs(one - other) for other in theirs) < 1e-9 for one in ours)


@pytest.mark.slow
def test_float16_and_safetensors_and_another_number_of_bands(tmp_path):
    own = torchvision.models.resnet18()
    half = {name: part.half() for name, part in own.state_dict().items()}
    network = unet(saved(tmp_path, half, "half.safetensors"), bands=4)
    assert network.encoder.conv1.weight.dtype == torch.float32
    expected = half["conv1.weight"].float()[:, [0, 1, 2, 0]] * 3 / 4  # the rule of timm and of smp
    assert_close(network.encoder.conv1.weight, expected)
    assert_close(network.encoder.layer4[1].conv2.weight, half["layer4.1.conv2.weight"].float())


@pytest.mark.slow
def test_a_whole_network_is_loaded_but_for_a_head_of_other_classes(tmp_path, capsys):
    own = smp.Unet("resnet18", encoder_weights=None, classes=5)
    path = saved(tmp_path, {f"module.{name}": part for name, part in own.state_dict().items()})
    network = unet(path)
    equal(network.state_dict(), own.state_dict())
    assert "note: weights" in (said := capsys.readouterr().out)
    assert said.rstrip().endswith("120 of 120 tensors of the encoder; 62 of 62 of the rest")
    other = unet(path, classes=7)
    assert other.segmentation_head[0].weight.shape[0] == 7
    assert torch.equal(other.decoder.state_dict()["blocks.0.conv1.0.weight"], own.decoder.blocks[0].conv1[0].weight)
    said = capsys.readouterr().out
    assert "60 of 62 of the rest; drawn at random: segmentation_head.0.weight, segmentation_head.0.bias" in said


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path):
    path = saved(tmp_path, timm.create_model("test_convnext").state_dict())
    message = (
        r"network.weights=.*file.pt is of another network: \d+ of 120 tensors fit; the file has .*, the network enc"
    )
    with pytest.raises(InputError, match=message) as told:
        unet(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "expected tensors by name, as of network.state_dict.*, got list"),
        ({"epoch": 3}, "expected tensors by name, as of network.state_dict.*, got dict"),
        (nn.Linear(2, 2), "cannot be loaded: Weights only load failed"),
    ],
)
def test_a_file_without_weights_is_told(content, said, tmp_path):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(InputError, match=said) as told:
        built("tiny", f"network.weights={tmp_path / 'file.pt'}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["none.pt", "torn.pt", "torn.safetensors", "."])
def test_a_file_that_cannot_be_read_is_told(name, tmp_path):
    for torn in ("torn.pt", "torn.safetensors"):
        (tmp_path / torn).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match=r"^network.weights=.* cannot be loaded: ") as told:
        built("tiny", f"network.weights={tmp_path / name}")
    assert "\n" not in str(told.value)


def tiny_encoder(tmp_path) -> str:
    return saved(tmp_path, {f"model.{n}": p for n, p in built("tiny").encoder.model.state_dict().items()}, "tiny.pt")


def test_a_file_takes_the_place_of_weights_to_fetch_and_says_how_images_are_normalised(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("autosegloss.training.hub.hub_answers", lambda: pytest.fail("the host was asked"))
    encoder = tiny_encoder(tmp_path)
    half = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1) / 127.5
    assert_close(built("tiny", encoder, weights="imagenet").input_scale, half)
    assert not hasattr(built("tiny", encoder, "network.normalisation=imagenet"), "input_scale")
    whole = saved(tmp_path, built("tiny").state_dict(), "whole.pt")  # trained from scratch: ImageNet's
    capsys.readouterr()
    assert not hasattr(built("tiny", whole), "input_scale")
    assert "whole.pt does not say how its images were normalised: as for ImageNet, unless" in capsys.readouterr().out
    assert_close(built("tiny", whole, "network.normalisation=encoder").input_scale, half)
    trained = saved(tmp_path, built("tiny", encoder).state_dict(), "trained.pt")
    assert_close(built("tiny", trained).input_scale, half)
    assert_close(built("tiny", trained, bands=4).input_scale, torch.full((4, 1, 1), 57.63 / 127.5))


@pytest.mark.slow
def test_encoders_that_spoil_their_weights_are_told(tmp_path, capsys):
    for encoder, better in {
        "timm-efficientnet-b0": "tu-tf_efficientnet_b0",
        "timm-tf_efficientnet_lite0": "tu-tf_efficientnet_lite0",
    }.items():
        state = build_network(smp.create_model, classes=5, arch="linknet", encoder_name=encoder, encoder_weights=None)
        assert "note" not in capsys.readouterr().out
        file = saved(tmp_path, state.encoder.state_dict())
        unet(file, "network.normalisation=imagenet", "network.arch=linknet", encoder=encoder)
        assert f"spoils its features: take network.encoder_name={better}\n" in capsys.readouterr().out
        assert timm.is_model(better.removeprefix("tu-"))
