"""A loop of plain PyTorch: cross-entropy and the loss for mIoU, judged by mIoU.

python examples/plain_pytorch.py [STEPS]
"""

import sys

import torch
from scenes import CLASSES, scenes
from torch import nn

from autosegloss import SurrogateLoss, segmentation_metrics

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 120
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(ignore_index=255),
    "surrogate": SurrogateLoss.from_pretrained("miou", scale="ce"),  # as large as cross-entropy at first
}


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()]
    for dilation in (1, 2, 4):
        layers += [nn.Conv2d(16, 16, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, CLASSES, 1))


def trained(loss: nn.Module) -> nn.Module:
    net, (images, labels) = network(), scenes(64, seed=1)
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, STEPS)
    for step in range(STEPS):
        batch = slice(8 * step % 64, 8 * step % 64 + 8)
        optimizer.zero_grad()
        loss(net(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def judged(net: nn.Module) -> dict[str, torch.Tensor]:
    metrics = segmentation_metrics(CLASSES, confusion=True)
    for image, label in zip(*scenes(64, seed=2), strict=True):
        metrics.update(net(image[None]), label[None])
    return metrics.compute()


for name, loss in LOSSES.items():
    scores = judged(trained(loss))
    print(f"{name}: mIoU {scores['miou']:.3f}; pixels by true and predicted class {scores['confusion'].tolist()}")
