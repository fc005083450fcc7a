"""Exported networks: run without this library, they give what the network gives."""

import io
import json
import sys

import numpy as np
import pytest
import timm
import torch
from helpers.networks import built
from torch import nn
from torch.testing import assert_close

from autosegloss.cli import export as program
from autosegloss.data.transforms import normalise
from autosegloss.errors import InputError
from autosegloss.training import export
from autosegloss.training.export import AdaptivePool, export_onnx, export_torch
from autosegloss.training.module import logits_of
from autosegloss.training.networks import build_network

CLASSES = ["sky", "Straße"]
UNEVEN = {"mean": [10, 20, 30], "std": [41, 52, 63]}


def small(classes: int = 2, in_channels: int = 3) -> nn.Module:
    layers = (
        nn.Conv2d(in_channels, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, classes, 1),
        nn.Upsample(scale_factor=2),
    )
    return nn.Sequential(*layers)


def network(bands: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return build_network(small, classes=2, bands=bands, normalisation=UNEVEN).eval()


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).float()


def by_hand(one: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The logits of the plain network, its input normalised here."""
    mean, std = (torch.tensor(UNEVEN[part]).float().view(3, 1, 1) for part in ("mean", "std"))
    if images.shape[1] != 3:
        mean, std = mean.mean(), std.mean()
    height, width = images.shape[2:]
    imagenet = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1) if images.shape[1] == 3 else torch.tensor(114.495)
    padded = imagenet.expand(images.shape[1], 1, 1).repeat(len(images), 1, -(-height // 32) * 32, -(-width // 32) * 32)
    padded[:, :, :height, :width] = images
    return type(one).forward(one, (padded - mean) / std)[..., :height, :width]


@pytest.mark.parametrize("size", [5, (2, 3), (1, 4)])
def test_the_pool_that_can_be_exported_is_that_of_torch(size):
    for shape in ((1, 2, 5, 7), (2, 3, 12, 9), (1, 1, 3, 4)):
        maps = torch.randn(shape)
        assert_close(AdaptivePool(size)(maps), nn.AdaptiveAvgPool2d(size)(maps))


@pytest.mark.slow
@pytest.mark.parametrize("bands", [3, 4])
def test_a_program_of_torch_export_takes_pixels_of_any_size(bands):
    one = network(bands)
    exported = export_torch(one, bands, (32, 48), CLASSES)
    told = {export.METADATA: ""}
    loaded = torch.export.load(io.BytesIO(exported.content), extra_files=told).module()
    for shape in ((1, bands, 20, 30), (3, bands, 64, 32), (2, bands, 33, 100)):
        images = pixels(*shape)
        with torch.no_grad():
            assert_close(loaded(images), by_hand(one, images), rtol=1e-4, atol=1e-4)
            assert_close(loaded(images), logits_of(one, normalise(images)))
    told = json.loads(told[export.METADATA])
    assert json.loads(told["classes"]) == CLASSES
    assert f"float32 (N, {bands}, H, W)" in told["input"]


@pytest.mark.slow
def test_a_model_of_onnx_takes_pixels_of_any_size():
    onnxruntime = pytest.importorskip("onnxruntime")
    one = network()
    exported = export_onnx(one, 3, (32, 48), CLASSES)
    session = onnxruntime.InferenceSession(exported.content, providers=["CPUExecutionProvider"])
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["batch", 3, "height", "width"])
    assert (logits.name, logits.shape) == ("logits", ["batch", 2, "height", "width"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == CLASSES
    assert metadata["trained_at"] == "32x48"
    for shape in ((1, 3, 20, 30), (3, 3, 64, 32), (2, 3, 33, 100)):
        tried = pixels(*shape)
        with torch.no_grad():
            expected = by_hand(one, tried)
        (got,) = session.run(None, {"images": tried.numpy()})
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_network_of_a_pyramid_is_exported_with_its_pools():
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    one = built("smp", "network.arch=pspnet", "network.encoder_name=tu-test_resnet").eval()
    exported = export_onnx(one, 3, (64, 96), list("abcde"))
    assert exported.difference <= 1e-4 * exported.largest
    assert len(exported.sizes) == 3


class OneSize(nn.Module):
    """It takes images of 32x64 only."""

    def __init__(self, classes: int):
        super().__init__()
        self.layer, self.place = nn.Conv2d(3, classes, 1), nn.Parameter(torch.randn(1, classes, 32, 64))

    def forward(self, images):
        assert images.shape[2:] == (32, 64)
        return self.layer(images) + self.place


@pytest.mark.slow
def test_a_network_of_one_size_is_exported_for_that_size():
    one = build_network(OneSize, classes=2).eval()
    exported = export_torch(one, 3, (32, 64), CLASSES)
    assert exported.sizes == [(1, 3, 32, 64)]
    told = {export.METADATA: ""}
    torch.export.load(io.BytesIO(exported.content), extra_files=told)
    assert "(N, 3, 32, 64)" in json.loads(told[export.METADATA])["input"]


class Numbers(nn.Module):
    """What it does depends on the numbers of its images."""

    def __init__(self, classes: int):
        super().__init__()
        self.layer = nn.Conv2d(3, classes, 1)

    def forward(self, images):
        return self.layer(images) if images.mean() > 0 else -self.layer(images)


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_is_told_in_one_line():
    with pytest.raises(InputError, match=r"^torch.export cannot express this network \(\w+: ") as told:
        export_torch(build_network(Numbers, classes=2).eval(), 3, (32, 32), CLASSES)
    assert "\n" not in str(told.value)


def test_a_file_that_gives_other_logits_is_refused():
    model = export.PixelsToLogits(network()).eval()
    with pytest.raises(InputError, match=r"other logits than PyTorch: they differ by .*; nothing is written"):
        export._checked(b"", model, lambda images: model(images) + 0.1, [(1, 3, 32, 32)])
    with pytest.raises(InputError, match="other logits than PyTorch: they differ by nan"):
        export._checked(b"", model, lambda images: model(images) * float("nan"), [(1, 3, 32, 32)])


@pytest.mark.slow
def test_the_network_of_a_run_is_exported_by_the_program(command, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    half = "{mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5]}"
    command("train", f"network.normalisation={half}", "hydra.run.dir=run")
    state = torch.load("run/weights.pt")
    assert_close(state["input_scale"], torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1) / 127.5)
    capsys.readouterr()
    program.run(["run", "format=torch"])
    said = capsys.readouterr().out
    assert said.startswith("exported: run/model.pt2, ")
    assert "input: images float32 (N, 3, H, W), red, green, blue on the scale 0..255" in said
    program.run(["run", "out=other/net.onnx"])
    assert "checked: ONNX, opset 18, with onnxruntime, on images of 1x3x" in capsys.readouterr().out
    assert (tmp_path / "other/net.onnx").stat().st_size > 1e5
    (tmp_path / "file").touch()
    for arguments, message in {
        ("run", "format=tflite"): "unknown format 'tflite': choose one of",
        ("run", "format=torch", "out=file/model.pt2"): "file/model.pt2 cannot be written",
        ("none",): "there is no run none",
        (): "autosegloss export: expected the folder of a run, got none",
    }.items():
        with pytest.raises(InputError, match=message):
            program.run(arguments)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r'ONNX needs onnx, onnxruntime and onnxscript.*"autosegloss\[export\]"'):
        program.run(["run"])


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation"), [(7, 3, 2, 1), (8, 5, 2, 1), (9, 2, 1, 2), (4, 1, 4, 1)]
)
def test_same_padding_in_whole_numbers_is_timms(length, kernel, stride, dilation):
    expected = timm.layers.get_same_padding(length, kernel, stride, dilation)
    assert export._same_padding(length, kernel, stride, dilation) == expected
