# HIPPOCAMPUS_ROOT/{train,test}/NAME.npz hold `image` and `mask` (D, H, W), voxels of 1 mm; without it: generated.
"""Volumes in a plain loop: cross-entropy, Dice, and cross-entropy with surface Dice within 2 mm."""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosegloss import SurrogateLoss, segmentation_metrics
from autosegloss.formulas.nsd import SurfaceDice

SIZE, IGNORE, SURFACE = (48, 64, 48), 255, SurfaceDice(tolerance=2, spacing=(1, 1, 1))
CE, NSD = nn.CrossEntropyLoss(ignore_index=IGNORE), SurrogateLoss(SURFACE, classes=[1, 2])
LOSSES = {"ce": CE, "dice": SurrogateLoss("dice", classes=[1, 2]), "ce+nsd": lambda x, y: (CE(x, y) + NSD(x, y)) / 2}


def volumes(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Images (N, 1, D, H, W) and labels (N, D, H, W), padded to one size; what pads labels is ignored."""
    root, kinds = os.environ.get("HIPPOCAMPUS_ROOT"), (("image", 0), ("mask", IGNORE))
    files = map(np.load, sorted(Path(root, split).glob("*.npz"))[:count]) if root else map(ball, range(count))
    both = torch.from_numpy(np.array([[padded(file[kind], value) for kind, value in kinds] for file in files]))
    return both[:, :1].float() / 128 - 1, both[:, 1].long()


def padded(volume: np.ndarray, value: int) -> np.ndarray:
    return np.pad(volume, [(0, s - n) for s, n in zip(SIZE, volume.shape, strict=True)], constant_values=value)


def ball(seed: int) -> dict[str, np.ndarray]:
    rng, (z, y, x) = np.random.default_rng(seed), np.ogrid[-18:18, -25:25, -17:17]
    mask = (z**2 + y**2 + x**2 < rng.integers(7, 15) ** 2) * (1 + (y > 0))
    return {"image": 60 * (mask > 0) + rng.integers(0, 120, mask.shape), "mask": mask}


def train(loss, images: Tensor, labels: Tensor, steps: int) -> nn.Module:
    block = [part for _ in range(3) for part in (nn.Conv3d(16, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU())]
    net = nn.Sequential(nn.Conv3d(1, 16, 4, stride=2, padding=1), *block, nn.ConvTranspose3d(16, 3, 2, stride=2))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for batch in torch.randint(len(images), (steps, 2)):
        optimizer.zero_grad()
        loss(net(images[batch]), labels[batch]).backward()
        optimizer.step()
    return net


parser = argparse.ArgumentParser()
for option, value in {"steps": 200, "seed": 0, "train": 160, "test": 60}.items():
    parser.add_argument(f"--{option}", type=int, default=value)
args = parser.parse_args()
data, test = volumes("train", args.train), volumes("test", args.test)
for name, loss in LOSSES.items():
    torch.manual_seed(args.seed)
    metrics, net = segmentation_metrics(3, IGNORE, ["dice", SURFACE], classes=[1, 2]), train(loss, *data, args.steps)
    for image, label in zip(*(part.split(4) for part in test), strict=True):
        metrics.update(net(image).detach(), label)
    print(name, {key: round(float(value), 4) for key, value in metrics.compute().items()}, flush=True)
