"""nnU-Net's trainers on generated images: cross-entropy, its Dice and cross-entropy, and the loss for Dice.

    pip install nnunetv2
    python examples/nnunet_small.py [STEPS]

It plans and preprocesses nothing. A training of your own takes examples/nnunet/surrogate_trainer.py alone.
"""

import contextlib
import os
import sys
import tempfile

import torch
from nnunet.surrogate_trainer import nnUNetTrainerSurrogate
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import nnUNetTrainerCELoss
from scenes import scenes

from autosegloss.metrics import FormulaMetric

os.environ["nnUNet_results"] = tempfile.mkdtemp()  # noqa: SIM112
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 80
TRAINERS = {"cross-entropy": nnUNetTrainerCELoss, "nnU-Net's own": nnUNetTrainer, "surrogate": nnUNetTrainerSurrogate}
LABELS = {"background": 0, "squares": 1, "discs": 2, "ignore": 3}
PARTS = {"conv_op": "torch.nn.Conv2d", "norm_op": "torch.nn.InstanceNorm2d", "nonlin": "torch.nn.LeakyReLU"}
STAGES = {"n_stages": 3, "features_per_stage": [16, 32, 64], "kernel_sizes": [3] * 3, "strides": [1, 2, 2]}
NETWORK = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {**STAGES, **PARTS, "n_conv_per_stage": [1] * 3, "n_conv_per_stage_decoder": [1] * 2},
    "_kw_requires_import": list(PARTS),
}


def trained(kind: type[nnUNetTrainer]) -> nnUNetTrainer:
    torch.manual_seed(0)
    plan = {"batch_size": 8, "patch_size": [32, 32], "batch_dice": True, "architecture": NETWORK, "data_identifier": ""}
    plans = {"dataset_name": "Scenes", "plans_name": "", "configurations": {"2d": plan}, "continue_training": False}
    trainer = kind(plans, "2d", 0, {"labels": LABELS}, torch.device("cpu"))
    managers = trainer.plans_manager, trainer.configuration_manager
    trainer.network = trainer.build_network_architecture(*managers, 3, 3, enable_deep_supervision=True)
    trainer.optimizer, _ = trainer.configure_optimizers()
    trainer.loss = trainer._build_loss()
    images, labels = scenes(64, seed=1)
    labels = labels.where(labels < 255, 3)[:, None].float()
    for step in range(STEPS):
        part = slice(8 * step % 64, 8 * step % 64 + 8)
        trainer.train_step({"data": images[part], "target": [labels[part], labels[part, :, ::2, ::2]]})
    return trainer


for name, kind in TRAINERS.items():
    with contextlib.redirect_stdout(None):
        network = trained(kind).network.eval()
    images, labels = scenes(64, seed=2)
    dice = FormulaMetric("dice", 3, classes=[1, 2])(network(images)[0].detach(), labels)
    print(f"{name}: Dice {dice:.3f}")
