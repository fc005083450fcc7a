"""Evidence of networks that were never trained: random truth, and predictions of which a share is right."""

from functools import cache

import numpy as np
import torch

from autosegloss.algebra.inputs import label_map, predicted_map
from autosegloss.formulas import PAPER, Formula, resolve
from autosegloss.formulas.exact import exact_sums
from autosegloss.ranking import Evidence

IGNORED = 255
FORMULAS: dict[str, Formula] = {name: resolve(name) for name in PAPER}


@cache
def drawn_evidence(images: int, right: float, seed: int, truth: int = 0, metrics: tuple[str, ...] = PAPER) -> Evidence:
    """Evidence on images of 8x10 pixels with 4 classes, the last one rare; `truth` is the seed of the truth."""
    true = np.random.default_rng([truth, 0]).choice(4, (images, 8, 10), p=[0.5, 0.3, 0.15, 0.05])
    noise = np.random.default_rng([seed, 1])
    predicted = np.where(noise.random(true.shape) < right, true, noise.integers(0, 4, true.shape))
    formulas = {name: resolve(name) for name in metrics}
    labels, classes = torch.from_numpy(true).int(), torch.from_numpy(predicted).int()
    rows = [_sums(classes[k : k + 1], labels[k : k + 1], formulas) for k in range(images)]
    stacked = {
        metric: {name: torch.stack([row[metric][name] for row in rows]) for name in rows[0][metric]}
        for metric in formulas
    }
    return Evidence(stacked, IGNORED)


def _sums(predicted: torch.Tensor, labels: torch.Tensor, formulas) -> dict[str, dict[str, torch.Tensor]]:
    true = label_map(labels, 4, IGNORED, dtype=torch.int32)
    pred = predicted_map(predicted, true)
    return {name: exact_sums(formula, pred, true) for name, formula in formulas.items()}
