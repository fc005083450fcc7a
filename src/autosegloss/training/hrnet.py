"""HRNetV2: the four resolutions of a high-resolution network, joined at the highest."""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosegloss.errors import InputError, unknown

_BRANCHES = (1, 2, 3, 4)  # of timm's outputs: strides 4 to 32; output 0 is the stem
WEIGHTS = "imagenet"


class HRNetV2(nn.Module):
    """Images (N, B, H, W) -> logits (N, C, H, W), H and W multiples of 32.

    The outputs of the last stage, (N, w 2^k, H / 2^(k+2), W / 2^(k+2)) for k = 0..3, are brought to stride 4, put side
    by side (15 w channels, 720 of w = 48) and mixed by a 1x1 convolution before the one to the classes (Sun et al.
    2019, arXiv 1904.04514, section 3). `encoder_name` is a HRNet of timm, optionally with a dot and the tag of its
    weights; `encoder_weights` is "imagenet" or None; `in_channels` is B. Raises InputError for another name.
    """

    encoder: nn.Module

    def __init__(self, encoder_name: str, encoder_weights: str | None, classes: int, in_channels: int = 3):
        super().__init__()
        if encoder_name not in timm.list_models("hrnet*") + timm.list_pretrained("hrnet*"):
            raise unknown("encoder", encoder_name, timm.list_models("hrnet*"))
        if encoder_weights not in (None, WEIGHTS):
            raise InputError(f"encoder_weights of {encoder_name} are '{WEIGHTS}' or null, got {encoder_weights!r}")
        encoder: Any = timm.create_model(
            encoder_name,
            pretrained=encoder_weights is not None,
            features_only=True,
            feature_location="",  # the branches, without the layers that widen them for classification
            out_indices=_BRANCHES,
            in_chans=in_channels,
        )
        channels = sum(encoder.feature_info.channels())
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, classes, kernel_size=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        branches = self.encoder(images)
        highest = branches[0].shape[2:]
        aligned = [_resize(branch, highest) for branch in branches]
        return _resize(self.head(torch.cat(aligned, dim=1)), images.shape[2:])


def _resize(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
