"""Hugging Face `Trainer` with SegFormer, of random weights: its logits have a quarter of the size of the labels.

pip install transformers accelerate
python examples/hugging_face_trainer.py [STEPS]
"""

import sys
import tempfile

import torch
from scenes import CLASSES, scenes
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import SegformerConfig, SegformerForSemanticSegmentation, Trainer, TrainingArguments
from transformers.utils import logging

from autosegloss import SurrogateLoss, segmentation_metrics

logging.disable_progress_bar()
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 120
SIZES = {"depths": [1] * 4, "hidden_sizes": [8, 16, 32, 32], "decoder_hidden_size": 32, "num_attention_heads": [1] * 4}
LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(ignore_index=255),
    "surrogate": SurrogateLoss.from_pretrained("miou", scale="ce"),
}


def pairs(count: int, seed: int) -> list[dict[str, Tensor]]:
    data = zip(*scenes(count, seed), strict=True)
    return [{"pixel_values": image, "labels": label} for image, label in data]


def judged(evaluated) -> dict[str, float]:
    logits, labels = (torch.as_tensor(values) for values in evaluated)
    metrics = segmentation_metrics(CLASSES, metrics=["miou"])
    metrics.update(interpolate(logits, labels.shape[-2:], mode="bilinear"), labels)
    return {name: float(value) for name, value in metrics.compute().items()}


def trained(loss: nn.Module, folder: str) -> Trainer:
    def of_outputs(outputs, labels, num_items_in_batch=None):
        value = loss(interpolate(outputs.logits, labels.shape[-2:], mode="bilinear"), labels)
        return value / arguments.gradient_accumulation_steps  # `Trainer` leaves it to this function

    torch.manual_seed(0)
    net = SegformerForSemanticSegmentation(SegformerConfig(num_labels=CLASSES, **SIZES))
    options = {"learning_rate": 5e-3, "warmup_steps": STEPS // 3, "lr_scheduler_type": "cosine", "use_cpu": True}
    quiet = {"report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
    arguments = TrainingArguments(folder, max_steps=STEPS, per_device_train_batch_size=8, **options, **quiet)
    given = {"train_dataset": pairs(64, seed=1), "eval_dataset": pairs(64, seed=2), "compute_metrics": judged}
    trainer = Trainer(net, arguments, compute_loss_func=of_outputs, **given)
    trainer.train()
    return trainer


for name, loss in LOSSES.items():
    with tempfile.TemporaryDirectory() as folder:
        print(f"{name}: mIoU {trained(loss, folder).evaluate()['eval_miou']:.3f}")
