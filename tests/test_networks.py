"""Every network of the configuration: what it is made of, what it gives, what of it learns how fast."""

import math

import pytest
import timm
import torch
import torchvision
from helpers.networks import NAMES, real, small
from torch import nn
from torch.testing import assert_close

from autosegloss.metrics import segmentation_metrics
from autosegloss.training.module import SegmentationModule
from autosegloss.training.optimizers import parameter_groups

pytestmark = pytest.mark.slow


every_network = pytest.mark.parametrize("name", NAMES)
dilated = pytest.mark.parametrize(
    ("name", "option"),
    [("deeplabv3plus_r50", "encoder_output_stride"), ("pspnet_r101", "output_stride")],
)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def meta_image(height: int, width: int) -> torch.Tensor:
    return torch.empty(2, 3, height, width, device="meta")


# --- what they are made of -----------------------------------------------------------------------------------------


def conv(inputs: int, outputs: int, kernel: int = 1) -> int:
    """Weights of a convolution without bias, and of the normalisation behind it."""
    return inputs * outputs * kernel**2 + 2 * outputs


def separable(inputs: int, outputs: int) -> int:
    return inputs * 9 + conv(inputs, outputs)


def deeplab_head(classes: int) -> int:
    """ASPP (1x1, three rates, the pooled image, all joined), the low-level branch of 48 and the classifier."""
    aspp = conv(2048, 256) + 3 * separable(2048, 256) + conv(2048, 256) + conv(5 * 256, 256) + separable(256, 256)
    return aspp + conv(256, 48) + separable(256 + 48, 256) + 256 * classes + classes


def psp_head(classes: int) -> int:
    """Four levels of 2048 / 4 channels, the first with a bias in the place of a normalisation; a 3x3 classifier."""
    levels = (2048 * 512 + 512) + 3 * conv(2048, 512)
    return levels + conv(2 * 2048, 512) + 512 * classes * 9 + classes


def hrnet_head(classes: int) -> int:
    return conv(48 + 96 + 192 + 384, 720) + 720 * classes + classes


def trunk(model: nn.Module, *classifier: str) -> int:
    """The parameters of a network for classification without those that only classify."""
    return size(model) - sum(size(getattr(model, name)) for name in classifier)


@pytest.mark.parametrize(
    ("name", "encoder", "classifier", "head"),
    [
        ("deeplabv3plus_r50", torchvision.models.resnet50, ["fc"], deeplab_head),
        ("deeplabv3plus_r101", torchvision.models.resnet101, ["fc"], deeplab_head),
        ("pspnet_r101", torchvision.models.resnet101, ["fc"], psp_head),
        (
            "hrnetv2_w48",
            lambda: timm.create_model("hrnet_w48"),
            ["incre_modules", "downsamp_modules", "final_layer", "classifier"],
            hrnet_head,
        ),
    ],
)
def test_the_real_networks_have_all_stages_and_the_head_of_their_paper(name, encoder, classifier, head):
    network = real(name)
    with torch.device("meta"):
        expected = trunk(encoder(), *classifier)
    assert size(network.encoder) == expected
    assert size(network) == expected + head(5)
    assert network(meta_image(64, 96)).shape == (2, 5, 64, 96)


def test_the_real_networks_are_as_large_as_when_they_were_first_built():
    sizes = {name: size(real(name)) for name in NAMES}
    assert sizes == {
        "deeplabv3plus_r101": 45_670_741,
        "deeplabv3plus_r50": 26_678_613,
        "hrnetv2_w48": 65_848_565,
        "pspnet_r101": 48_819_269,
        "smp": 24_436_949,
        "tiny": 442_309,
    }


@dilated
@pytest.mark.parametrize("stride", [8, 16])
def test_the_last_features_have_the_output_stride(name, option, stride):
    network = real(name, f"network.{option}={stride}")
    features = network.encoder(meta_image(64, 96))
    assert [feature.shape[1] for feature in features] == [3, 64, 256, 512, 1024, 2048]
    strides = [64 // feature.shape[2] for feature in features]
    assert strides == [1, 2, 4, 8, min(16, stride), stride]
    assert network(meta_image(64, 96)).shape == (2, 5, 64, 96)


@dilated
def test_dilation_takes_the_place_of_the_strides(name, option):
    """The 3x3 convolutions of the last two stages; stride 8 is the default."""
    for overrides, rates in {(): (2, 4), (f"network.{option}=8",): (2, 4), (f"network.{option}=16",): (1, 2)}.items():
        encoder = real(name, *overrides).encoder
        assert tuple(stage[-1].conv2.dilation[0] for stage in (encoder.layer3, encoder.layer4)) == rates


def test_hrnet_joins_the_four_branches_of_the_last_stage_as_they_are():
    network = small("hrnetv2_w48").eval()
    with torch.random.fork_rng():
        whole = timm.create_model("hrnet_w18_small").eval()
    missing = whole.load_state_dict(network.encoder.state_dict(), strict=False)
    assert not missing.unexpected_keys
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        stem = whole.act2(whole.bn2(whole.conv2(whole.act1(whole.bn1(whole.conv1(images))))))
        branches, ours = whole.stages(stem), network.encoder(images)
        assert [64 // branch.shape[2] for branch in branches] == [4, 8, 16, 32]
        for branch, our in zip(branches, ours, strict=True):
            assert_close(our, branch)
        up = [nn.Upsample(scale_factor=2**k, mode="bilinear") for k in range(4)]
        joined = torch.cat([scale(branch) for scale, branch in zip(up, branches, strict=True)], dim=1)
        assert_close(network(images), nn.Upsample(scale_factor=4, mode="bilinear")(network.head(joined)))


# --- what they give and how they learn -----------------------------------------------------------------------------


@every_network
def test_images_of_odd_sizes_get_logits_of_their_size(name):
    network = small(name)
    module = SegmentationModule(network, nn.CrossEntropyLoss(), segmentation_metrics(5), optimizer=None).eval()
    with torch.no_grad():
        for height, width in ((45, 71), (64, 96), (33, 32)):
            logits = module(torch.randn(2, 3, height, width))
            assert logits.shape == (2, 5, height, width)
            assert logits.isfinite().all()


@every_network
def test_gradients_reach_every_parameter(name):
    """Data-parallel training waits for all of them; one that is never used would end it with an error."""
    network = small(name)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)  # timm begins with 0 at the end of a residual branch, which stops gradients
    logits = network(torch.randn(4, 3, 64, 64))
    nn.functional.cross_entropy(logits, torch.randint(5, (4, 64, 64))).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@every_network
def test_encoder_and_head_share_no_parameter_and_leave_none_out_and_the_head_learns_faster(name):
    network = small(name)
    groups = parameter_groups(network, lr=0.01, head_multiplier=10)
    encoder, head = ({id(p) for p in group["params"]} for group in groups)
    assert not encoder & head
    assert encoder | head == {id(p) for p in network.parameters()}
    assert encoder == {id(p) for n, p in network.named_parameters() if n.startswith("encoder.")}
    assert math.isclose(groups[1]["lr"], 10 * groups[0]["lr"])
    assert len(head) > 3


@every_network
def test_every_normalisation_can_be_shared_between_devices(name):
    network = small(name).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before, layers = network(images), sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        shared = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        assert sum(isinstance(m, nn.SyncBatchNorm) for m in shared.modules()) == layers > 0
        assert not any(isinstance(m, nn.BatchNorm2d) for m in shared.modules())
        assert_close(shared(images), before)
