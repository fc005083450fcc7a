"""torchvision: LR-ASPP, whose output is a dictionary, trained with cross-entropy and the loss for mIoU.

pip install torchvision
python examples/torchvision_lraspp.py [STEPS]
"""

import sys

import torch
from scenes import CLASSES, scenes
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from autosegloss import SurrogateLoss
from autosegloss.metrics import MeanIoU

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(ignore_index=255),
    "surrogate": SurrogateLoss.from_pretrained("miou", scale="ce"),
}


def trained(loss: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1  # 0.01 is for longer trainings
    images, labels = scenes(64, seed=1, size=64)
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS)
    for step in range(STEPS):
        batch = slice(8 * step % 64, 8 * step % 64 + 8)
        optimizer.zero_grad()
        loss(net(images[batch])["out"], labels[batch]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def judged(net: nn.Module) -> float:
    metric = MeanIoU(CLASSES)
    for image, label in zip(*scenes(32, seed=2, size=64), strict=True):
        metric.update(net(image[None])["out"], label[None])
    return metric.compute().item()


for name, loss in LOSSES.items():
    print(f"{name}: mIoU {judged(trained(loss)):.3f}")
