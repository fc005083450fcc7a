"""What the six metrics cost beside one confusion matrix of torchmetrics, on predictions and labels (N, H, W).

python benchmarks/metrics.py [--shape N,C,H,W] [--threads T] [--device cuda] [--rounds R]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from autosegloss.formulas import PAPER
from autosegloss.metrics import segmentation_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="8,21,512,512", metavar="N,C,H,W")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = [int(n) for n in options.shape.split(",")]
    preds, labels = (values.to(options.device) for values in scene(*sizes))
    classes = sizes[1]
    updates: dict[str, Callable[[], object]] = {
        "confusion matrix": lambda: multiclass_confusion_matrix(preds, labels, classes, ignore_index=255)
    }
    for names in ([name] for name in PAPER):
        updates[names[0]] = _update(names, classes, preds, labels)
    updates["all six"] = _update(list(PAPER), classes, preds, labels)
    rounds = [{name: _seconds(update) for name, update in updates.items()} for _ in range(options.rounds + 1)][1:]
    print(f"{tuple(sizes)}, {options.threads} threads, {options.device}")
    for name in updates:
        ratio = statistics.median(row[name] / row["confusion matrix"] for row in rounds)
        print(f"{name:16} {1000 * min(row[name] for row in rounds):7.1f} ms {ratio:6.2f} times the confusion matrix")


def scene(count: int, classes: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Labels in blocks of 16 pixels, 5 % of them ignored, and predictions that are wrong at a tenth of the pixels."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(classes, (count, -(-height // 16), -(-width // 16)), generator=generator)
    labels = blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :height, :width].contiguous()
    noise = torch.rand(labels.shape, generator=generator)
    preds = torch.where(noise > 0.9, torch.randint(classes, labels.shape, generator=generator), labels)
    return preds, torch.where(noise < 0.05, 255, labels)


def _update(names: list[str], classes: int, preds: Tensor, labels: Tensor) -> Callable[[], object]:
    metrics = segmentation_metrics(classes, metrics=names).to(preds.device)
    return lambda: metrics.update(preds, labels)


def _seconds(update: Callable[[], object]) -> float:
    start = time.perf_counter()
    update()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
