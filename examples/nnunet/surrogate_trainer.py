"""nnU-Net: a trainer whose loss is that for Dice, at every resolution of the deep supervision.

pip install nnunetv2
nnUNet_extTrainer=examples/nnunet nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerSurrogate
"""

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from autosegloss import SurrogateLoss


class SurrogateOfMaps(nn.Module):
    """The loss for Dice of nnU-Net's labels (N, 1, *S), without the background."""

    def __init__(self, foreground: list[int], ignored: int | None):
        super().__init__()
        self.loss = SurrogateLoss("dice", classes=foreground, ignore_index=ignored, scale="ce")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(logits, labels[:, 0].long())


class nnUNetTrainerSurrogate(nnUNetTrainer):  # noqa: N801  (as nnU-Net names its trainers)
    def _build_loss(self) -> nn.Module:
        loss = super()._build_loss()
        ours = SurrogateOfMaps(self.label_manager.foreground_labels, self.label_manager.ignore_label)
        if not self.enable_deep_supervision:
            return ours
        loss.loss = ours  # in the place of Dice and cross-entropy; the weights of the resolutions stay
        return loss
