"""The networks of the configuration, in their full size and small."""

from functools import cache

import torch
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from autosegloss.training.networks import build_network

NAMES = sorted(path.stem for path in (CONF / "network").glob("*.yaml") if path.stem != "own")
RESNET, HRNET = "network.encoder_name=resnet18", "network.encoder_name=hrnet_w18_small"
SMALL = {
    "deeplabv3plus_r50": [RESNET],
    "deeplabv3plus_r101": [RESNET],
    "pspnet_r101": [RESNET],
    "smp": [RESNET],
    "hrnetv2_w48": [HRNET],
    "tiny": [],
}


def built(name: str, *overrides: str, weights: str = "null", classes: int = 5, bands: int = 3) -> nn.Module:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [f"network={name}", f"network.encoder_weights={weights}", *overrides])
    architecture = instantiate(cfg.network)
    return build_network(architecture.func, classes=classes, bands=bands, **architecture.keywords)


@cache
def real(name: str, *overrides: str) -> nn.Module:
    """The network of 5 classes in its full size, without memory: shapes flow through it in no time."""
    with torch.device("meta"):
        return built(name, *overrides)


def small(name: str, *overrides: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return built(name, *SMALL[name], *overrides, **options)
