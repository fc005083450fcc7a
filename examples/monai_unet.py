"""MONAI: a 3-D U-Net trained with cross-entropy, `DiceCELoss` and the loss for Dice, judged by `DiceMetric`.

    pip install monai
    python examples/monai_unet.py [STEPS]

Volumes are generated. HIPPOCAMPUS_ROOT names a folder of others, train/NAME.npz and val/NAME.npz: `image` and `mask`.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from monai.data import create_test_image_3d
from monai.losses import DiceCELoss
from monai.metrics import DiceMetric
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.transforms import ResizeWithPadOrCrop
from torch import Tensor, nn

from autosegloss import SurrogateLoss

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 80
ROOT, CLASSES, SIZE = os.environ.get("HIPPOCAMPUS_ROOT"), 3, (32, 48, 32)
SURROGATE = SurrogateLoss("dice", scale="ce")
LOSSES = {
    "cross-entropy": lambda logits, labels: nn.functional.cross_entropy(logits, labels[:, 0]),
    "DiceCELoss": DiceCELoss(to_onehot_y=True, softmax=True),
    "surrogate": lambda logits, labels: SURROGATE(logits, labels[:, 0]),
}


def volumes(split: str, count: int) -> list[Tensor]:
    """Images and labels (N, 1, D, H, W)."""
    if ROOT:
        cases = [np.load(path) for path in sorted(Path(ROOT, split).glob("*.npz"))[:count]]
        pairs = [(case["image"] / np.float32(255), case["mask"]) for case in cases]
    else:
        random, options = np.random.RandomState(len(split)), {"num_objs": 3, "rad_max": 6, "num_seg_classes": 2}
        pairs = [create_test_image_3d(*SIZE, **options, noise_max=0.8, random_state=random) for _ in range(count)]
    fit = ResizeWithPadOrCrop(SIZE)
    return [torch.stack([fit(one[None]).as_tensor() for one in of]) for of in zip(*pairs, strict=True)]


for name, loss in LOSSES.items():
    torch.manual_seed(0)
    net = UNet(3, 1, CLASSES, channels=(8, 16, 32), strides=(2, 2))
    (images, labels), optimizer = volumes("train", 16), torch.optim.AdamW(net.parameters(), lr=5e-3)
    for step in range(STEPS):
        optimizer.zero_grad()
        batch = slice(2 * step % 16, 2 * step % 16 + 2)
        loss(net(images[batch]), labels[batch].long()).backward()
        optimizer.step()
    dice, (images, labels) = DiceMetric(include_background=False), volumes("val", 8)
    for image, label in zip(images, labels, strict=True):
        dice(one_hot(net.eval()(image[None]).argmax(1, keepdim=True), CLASSES), one_hot(label[None], CLASSES))
    print(f"{name}: Dice {dice.aggregate().item():.3f}")
