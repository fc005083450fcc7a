"""Lightning with a module of one's own: a loss in `training_step`, metrics in `self.log_dict`.

pip install pytorch-lightning
python examples/lightning_module.py [STEPS]
"""

import sys

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from scenes import CLASSES, scenes
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from autosegloss import SurrogateLoss, segmentation_metrics

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 120
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(ignore_index=255),
    "surrogate": SurrogateLoss.from_pretrained("miou", scale="ce"),
}


class Segmentation(LightningModule):
    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss, self.metrics = loss, segmentation_metrics(CLASSES, metrics=["miou", "bf1"])
        layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()]
        for dilation in (1, 2, 4):
            layers += [nn.Conv2d(16, 16, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(16), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(16, CLASSES, 1))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        images, labels = batch
        return self.loss(self.net(images), labels)

    def validation_step(self, batch: list[Tensor]) -> None:
        images, labels = batch
        self.metrics.update(self.net(images), labels)
        self.log_dict(self.metrics)

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


train, val = (DataLoader(TensorDataset(*scenes(64, seed)), batch_size=8) for seed in (1, 2))
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
for name, loss in LOSSES.items():
    seed_everything(0, verbose=False)
    trainer, module = Trainer(max_steps=STEPS, accelerator="cpu", **quiet), Segmentation(loss)
    trainer.fit(module, train)
    (scores,) = trainer.validate(module, val, verbose=False)
    print(f"{name}: mIoU {scores['miou']:.3f}, BF1 {scores['bf1']:.3f}")
