"""segmentation_models_pytorch: a U-Net, trained with cross-entropy and the loss for mIoU, judged by smp's own metric.

pip install segmentation-models-pytorch
python examples/smp_metrics.py [STEPS]
"""

import sys

import segmentation_models_pytorch as smp
import torch
from scenes import CLASSES, scenes
from torch import nn

from autosegloss import SurrogateLoss

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(ignore_index=255),
    "surrogate": SurrogateLoss.from_pretrained("miou", scale="ce"),
}


def trained(loss: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    channels = {"decoder_channels": (32, 16), "encoder_depth": 2}
    net = smp.Unet("resnet18", encoder_weights=None, classes=CLASSES, **channels)
    images, labels = scenes(64, seed=1)
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS)
    for step in range(STEPS):
        batch = slice(8 * step % 64, 8 * step % 64 + 8)
        optimizer.zero_grad()
        loss(net(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def judged(net: nn.Module) -> float:
    images, labels = scenes(64, seed=2)
    predicted = net(images).argmax(1)
    stats = smp.metrics.get_stats(predicted, labels, "multiclass", ignore_index=255, num_classes=CLASSES)
    return smp.metrics.iou_score(*(one.sum(0, keepdim=True) for one in stats), reduction="macro").item()


for name, loss in LOSSES.items():
    print(f"{name}: iou_score {judged(trained(loss)):.3f}")
