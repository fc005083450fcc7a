"""Networks of segmentation-models-pytorch, of torchvision and of one's own: every architecture is made and trained."""

import pytest
import torch
import torchvision
from helpers.networks import built
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING
from torch import nn
from torch.testing import assert_close

from autosegloss.data import SegmentationData, Shapes
from autosegloss.errors import InputError
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.module import SegmentationModule, logits_of
from autosegloss.training.networks import build_network
from autosegloss.training.optimizers import parameter_groups
from autosegloss.training.sizes import check_sizes

VIT = ["network.encoder_name=tu-test_vit3", "+network.dynamic_img_size=true"]


def smp_network(arch: str, *overrides: str, bands: int = 3) -> nn.Module:
    torch.manual_seed(0)
    small = VIT if arch == "dpt" else ["network.encoder_name=tu-test_resnet"]
    return built("smp", f"network.arch={arch}", *small, *overrides, bands=bands, classes=6)


def data_of(bands: int = 3, **sizes) -> SegmentationData:
    class Banded(Shapes):
        channels = bands

    return SegmentationData(Banded(train=8, val=4), batch_size=4, **{"size": None, **sizes})


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "bands"), [("unet", 3), *((arch, 4) for arch in sorted(MODEL_ARCHITECTURES_MAPPING))])
def test_every_architecture_learns_from_images_of_odd_sizes(arch, bands):
    network = smp_network(arch, bands=bands)
    module = SegmentationModule(network, nn.CrossEntropyLoss(), segmentation_metrics(6), optimizer=None)
    optimizer = torch.optim.SGD(parameter_groups(network, lr=0.1, head_multiplier=10), momentum=0.9)
    before = {name: part.detach().clone() for name, part in network.named_parameters()}
    logits = module(torch.randn(2, bands, 130, 150))
    assert logits.shape == (2, 6, 130, 150)
    nn.functional.cross_entropy(logits, torch.randint(6, (2, 130, 150))).backward()
    optimizer.step()
    moved = [name.split(".")[0] for name, part in network.named_parameters() if not torch.equal(part, before[name])]
    assert {"encoder", "decoder", "segmentation_head"} >= set(moved) >= {"encoder", "segmentation_head"}


@pytest.mark.parametrize(
    ("arch", "overrides", "sizes", "said"),
    [
        ("pan", [], {"size": [96, 128]}, r"images of 96x128 \(RuntimeError: .*PAN needs 128x128 or more"),
        (
            "dpt",
            ["network.dynamic_img_size=false"],
            {"size": [64, 96]},
            r"64x96 \(AssertionError: .*dynamic_img_size=true",
        ),
        ("pan", [], {"size": None}, r"images of 64x64 \(RuntimeError: "),
        ("dpt", ["network.dynamic_img_size=false"], {"crop": 160}, "192x224, which whole images to judge may have"),
        (
            "upernet",
            ["network.encoder_name=tu-test_maxvit"],
            {"size": 224},
            r"224x224 \(AssertionError: .*img_size=\[H,W\]",
        ),
    ],
)
@pytest.mark.slow
def test_a_size_that_a_network_does_not_take_is_told_before_the_training(arch, overrides, sizes, said):
    with pytest.raises(InputError, match=said) as told:
        check_sizes(smp_network(arch, *overrides), data_of(**sizes), 6)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_sizes_that_networks_take_pass_and_change_nothing():
    for arch, size in {"pan": 128, "dpt": [60, 90], "unet": 33}.items():
        network = smp_network(arch)
        state, random = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
        check_sizes(network, data_of(size=size), 6)
        check_sizes(network, data_of(crop=128), 6)
        assert torch.equal(torch.get_rng_state(), random)
        for name, part in network.state_dict().items():
            assert torch.equal(part, state[name])


def test_an_unknown_architecture_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown network.arch 'unet3': choose one of unet,"):
        built("smp", "network.arch=unet3")


# --- of one's own --------------------------------------------------------------------------------------------------


class Quarter(nn.Module):
    """Logits at a quarter of the images' size, as many networks give them; no part of it is called encoder."""

    def __init__(self, num_classes: int, width: int = 4):
        super().__init__()
        self.stem, self.top = nn.Conv2d(3, width, 4, stride=4), nn.Conv2d(width, num_classes, 1)

    def forward(self, images):
        return self.top(self.stem(images))


class Numbers(nn.Module):
    """It looks at the numbers of the images, which a computation of shapes alone has not got."""

    def __init__(self, classes: int):
        super().__init__()
        self.layer = nn.Conv2d(3, classes, 1)

    def forward(self, images):
        return self.layer(images * float(images.abs().max()))


def test_logits_of_another_size_are_scaled_to_the_images():
    network = build_network(Quarter, classes=5)
    images = torch.randn(2, 3, 64, 96)
    expected = nn.functional.interpolate(network(images), (64, 96), mode="bilinear", align_corners=False)
    assert_close(logits_of(network, images), expected)


def test_a_network_without_an_encoder_learns_at_one_rate():
    network = build_network(Quarter, classes=5)
    (group,) = parameter_groups(network, lr=0.1, head_multiplier=10)
    assert (group["lr"], len(group["params"])) == (0.1, 4)


@pytest.mark.slow
def test_the_networks_of_torchvision_give_their_logits():
    make = torchvision.models.segmentation.lraspp_mobilenet_v3_large
    network = build_network(make, classes=5, weights_backbone=None).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert_close(logits_of(network, images), type(network).forward(network, images)["out"])
    groups = parameter_groups(network, lr=0.1, head_multiplier=10)
    backbone = {id(p) for p in network.backbone.parameters()}
    assert {id(p) for p in groups[0]["params"]} == backbone


def test_a_network_must_give_logits_of_every_class():
    check_sizes(build_network(Numbers, classes=6), data_of(size=32), 6)
    check_sizes(build_network(Quarter, classes=6), data_of(size=32), 6)

    def other(classes: int):
        return nn.Conv2d(3, classes + 1, 1)

    with pytest.raises(
        InputError, match=r"must give logits \(N, 6, H, W\), got \(2, 7, 32, 32\) for images \(2, 3, 32,"
    ):
        check_sizes(build_network(other, classes=6), data_of(size=32), 6)

    def several(classes: int):
        return nn.Identity()

    network = build_network(several, classes=6)
    network.forward = lambda images: [images]
    with pytest.raises(InputError, match=r"must give logits \(N, 6, H, W\), got list"):
        check_sizes(network, data_of(size=32), 6)


@pytest.mark.slow
def test_a_module_of_ones_own_trains_by_its_name(command, monkeypatch, tmp_path):
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n\n\ndef Plain(num_classes, width):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tiny = ["data.source.train=8", "data.source.val=4", "data.source.size=32", "data.size=32", "data.batch_size=4"]
    run = [*tiny, "trainer.max_steps=2", "trainer.accelerator=cpu", "hydra.run.dir=run"]
    own = ["network=own", "network._target_=own_networks.Plain"]
    command("train", *run, *own, "+network.width=4", tiny=False)
    assert torch.load("run/weights.pt")["0.weight"].shape == (4, 3, 3, 3)
    with pytest.raises(SystemExit, match=r"error: network: TypeError: .*width"):
        command("train", *run, *own, tiny=False)
    with pytest.raises(SystemExit, match=r"error: network._partial_ must be true"):
        command("train", *run, "network._target_=torch.nn.Identity", "network._partial_=false", tiny=False)
    with pytest.raises(SystemExit, match=r"error: network._target_ is not given: set network._target_=VALUE"):
        command("train", *run, "network=own", tiny=False)
