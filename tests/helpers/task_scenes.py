"""Batches of every task, for the laws that hold over tasks and formulas."""

from itertools import product
from typing import NamedTuple

import pytest
import torch
from helpers.members import METRICS
from torch import Tensor

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.formulas import Formula
from autosegloss.formulas.exact import exact_sums
from autosegloss.tasks import Task
from autosegloss.tasks.binary import Binary
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.tasks.multilabel import Multilabel

IGNORE = 255
TASKS = {"multilabel": Multilabel(), "binary": Binary(), "multiclass": Multiclass()}
AGGREGATES = ("batch", "image", "image,class", "worst image")


def _pairs():
    """Every formula with every task; the quick suite takes some of each kind."""
    quick = {("multilabel", "bf1"), ("multilabel", "miou"), ("binary", "miou+bf1"), ("multiclass", "biou")}
    for task, formula in product(TASKS, METRICS):
        marks = () if (task, formula) in quick else pytest.mark.slow
        yield pytest.param(METRICS[formula], TASKS[task], id=f"{formula}-{task}", marks=marks)


every_pair = pytest.mark.parametrize(("formula", "task"), list(_pairs()))
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


class Scene(NamedTuple):
    """A batch of a task: logits (N, C, *S), labels with ignored pixels, and predicted labels, of the labels' form."""

    logits: Tensor
    labels: Tensor
    preds: Tensor

    @property
    def num_classes(self) -> int:
        return self.logits.shape[1]

    @property
    def ignored(self) -> Tensor:
        """Where labels are ignored, (N, 1 or C, *S)."""
        return self.by_class(self.labels == IGNORE)

    @property
    def probs(self) -> Tensor:
        """The predicted labels as probabilities 0 and 1, (N, C, *S)."""
        if self.preds.ndim == self.logits.ndim:
            return self.preds.float()
        index = torch.arange(self.num_classes).view(-1, *[1] * (self.preds.ndim - 1))
        return (self.preds.unsqueeze(1) == index).float()

    def by_class(self, values: Tensor) -> Tensor:
        return values if values.ndim == self.logits.ndim else values.unsqueeze(1)


def scene(task: Task, shape=(3, 7, 8), classes: int = 3, ignored: float = 0.15, seed: int = 0) -> Scene:
    """A random batch, in blobs, so that there are boundaries and interiors."""
    rng = torch.Generator().manual_seed(seed)
    channels = 1 if isinstance(task, Binary) else classes
    of_labels = shape if isinstance(task, Multiclass) else (shape[0], channels, *shape[1:])
    values = classes if isinstance(task, Multiclass) else 2
    labels, preds = (torch.randint(values, of_labels, generator=rng) for _ in range(2))
    labels[..., : shape[-1] // 2], preds[..., : 1 + shape[-1] // 2] = values - 1, values - 1
    labels = labels.masked_fill(torch.rand(of_labels, generator=rng) < ignored, IGNORE)
    logits = 2 * torch.randn(shape[0], channels, *shape[1:], generator=rng)
    return Scene(logits, labels, preds)


def soft(task: Task, labels: Tensor, classes: int = 3, seed: int = 1) -> Tensor:
    """Soft labels (N, C, *S) in the place of crisp ones, ignored at the same pixels."""
    rng = torch.Generator().manual_seed(seed)
    if isinstance(task, Multiclass):
        values = torch.randn(labels.shape[0], classes, *labels.shape[1:], generator=rng).mul(2).softmax(dim=1)
        return values.masked_fill((labels == IGNORE).unsqueeze(1), IGNORE)
    return torch.rand(labels.shape, generator=rng).masked_fill(labels == IGNORE, IGNORE)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels (N, *S) of classes as soft labels (N, C, *S), ignored where they are."""
    index = torch.arange(classes).view(-1, *[1] * (labels.ndim - 1))
    return (labels.unsqueeze(1) == index).float().masked_fill((labels == IGNORE).unsqueeze(1), IGNORE)


def drawn_theta(formula: Formula, seed: int = 0) -> list[float]:
    size = thetas.size(formula, SurrogateLoss(formula).curve)
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)).tolist()


def crisp_sums(formula: Formula, task: Task, one: Scene) -> dict[str, Tensor]:
    """The sums of the metric."""
    pred, truth = task.judged(one.preds, one.labels, one.num_classes, IGNORE)
    return exact_sums(formula, pred, truth.true, truth.valid)
