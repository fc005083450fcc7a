"""nnU-Net: a trainer whose loss is that for Dice, at every resolution of the deep supervision.

pip install nnunetv2
nnUNet_extTrainer=examples/nnunet nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerSurrogate
"""

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from autosegloss import InputError, SurrogateLoss

STATE = "surrogate_state"


class SurrogateOfMaps(nn.Module):
    """The loss for Dice of nnU-Net's labels (N, 1, *S), without the background."""

    def __init__(self, foreground: list[int], ignored: int | None):
        super().__init__()
        self.loss = SurrogateLoss("dice", classes=foreground, ignore_index=ignored, scale="ce")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(logits, labels[:, 0].long())


class nnUNetTrainerSurrogate(nnUNetTrainer):  # noqa: N801  (as nnU-Net names its trainers)
    def _build_loss(self) -> nn.Module:
        if self.label_manager.has_regions:
            raise InputError(
                "nnUNetTrainerSurrogate takes labels that exclude each other: for regions build the loss with "
                'SurrogateLoss("dice", task="multilabel")'
            )
        loss = super()._build_loss()
        ours = SurrogateOfMaps(self.label_manager.foreground_labels, self.label_manager.ignore_label)
        if not self.enable_deep_supervision:
            return ours
        loss.loss = ours  # in the place of Dice and cross-entropy; the weights of the resolutions stay
        return loss

    def save_checkpoint(self, filename: str) -> None:
        """The scale of the first batch is part of the training."""
        super().save_checkpoint(filename)
        if self.local_rank == 0 and not self.disable_checkpointing:
            saved = torch.load(filename, map_location="cpu", weights_only=False)
            torch.save({**saved, STATE: self.loss.state_dict()}, filename)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        saved = filename_or_checkpoint
        if isinstance(saved, str):
            saved = torch.load(saved, map_location="cpu", weights_only=False)
        if STATE in saved:
            self.loss.load_state_dict(saved[STATE])
