"""Predictions and truth of images, one by one, as sums that scores, tables and resamples follow from."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from autosegloss.algebra import Map
from autosegloss.algebra.truth import Truth
from autosegloss.errors import InputError
from autosegloss.evaluation.calibration import Calibration
from autosegloss.formulas import Formula, MeanIoU
from autosegloss.formulas.exact import exact_class_scores, exact_score, exact_sums
from autosegloss.formulas.formula import values
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass

_MULTICLASS = Multiclass()
SHOWN = 6  # images, the worst ones, whose predictions are kept to be drawn


class Judged(NamedTuple):
    """An image with its truth and its prediction.

    name: identifies it. truth, predicted: integers (1, H, W), or (1, C, H, W) where classes do not exclude each other.
    calibration: of its logits, if there are any. load: reads
    the image (B, H, W), uint8 or float32 on the scale 0..255, if there is one.
    """

    name: str
    truth: Tensor
    predicted: Tensor
    calibration: Calibration | None = None
    load: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Measured:
    """What is known of a prediction: additive sums of every image.

    Args:
        formulas: the metrics.
        class_names: of the C classes that are scored.
        ignore_index: the id of a class that is in no average; another number or None leaves out none.
        names: of the n images.
        sums: {metric: {statistic: int64 (n, C)}}.
        labels: the names of the K labels of masks: the classes, and the background of a binary task.
        shares: (2, C), the share of each class in the pixels of the truth and of the prediction.
        confusion: int64 (K, K), pixels by true label (row) and predicted label (column); None if labels do not exclude
            each other.
        calibrations: of each image; empty without logits.
        worst: the images of the lowest mIoU, the worst first; empty if a pixel has no single label to be drawn.
    """

    formulas: Sequence[Formula]
    class_names: Sequence[str]
    ignore_index: int | None
    names: Sequence[str]
    sums: Mapping[str, Mapping[str, Tensor]]
    labels: Sequence[str]
    shares: Tensor
    confusion: Tensor | None
    calibrations: Sequence[Calibration]
    worst: Sequence[Judged]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def calibration(self) -> Calibration | None:
        """That of all images; None without logits."""
        return reduce(add, self.calibrations) if self.calibrations else None

    @cached_property
    def scores(self) -> dict[str, float]:
        """The score of each metric over all images; nan if no class is defined."""
        totals = {name: _total(sums) for name, sums in self.sums.items()}
        return {each.name: float(exact_score(each, totals[each.name], self.ignore_index)) for each in self.formulas}

    @cached_property
    def class_scores(self) -> dict[str, Tensor]:
        """The scores (C,) of the classes over all images, by metric; nan for a class that is not defined."""
        return {
            each.name: exact_class_scores(each, _total(self.sums[each.name]), self.num_classes, self.ignore_index)
            for each in self.formulas
        }

    @cached_property
    def image_scores(self) -> dict[str, list[float]]:
        """The score of each image by itself, by metric."""
        return {each.name: self._each_score(each) for each in self.formulas}

    def _each_score(self, formula: Formula) -> list[float]:
        sums = self.sums[formula.name]
        own = ({name: value[i] for name, value in sums.items()} for i in range(len(self.names)))
        return [float(exact_score(formula, each, self.ignore_index)) for each in own]

    def class_columns(self) -> list[Formula]:
        """The metrics that score classes differently: frequency-weighted IoU scores each as mean IoU does."""
        columns: dict[object, Formula] = {}
        for each in self.formulas:
            kind = type(each)
            if "class_scores" in vars(kind) or (kind.class_scores, each.summed_as()) not in columns:
                columns[kind.class_scores, each.summed_as()] = each
        return list(columns.values())


def _total(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.sum(dim=0) for name, value in sums.items()}


def measure(
    images: Iterable[Judged],
    formulas: Sequence[Formula],
    labels: Sequence[str],
    ignore_index: int | None,
    task: Task = _MULTICLASS,
) -> Measured:
    """Measure predictions, image by image.

    Args:
        images: what to judge.
        formulas: the metrics.
        labels: the names of the labels of masks.
        ignore_index: the label of pixels that count nowhere.
        task: what the labels mean.

    Raises:
        InputError: there is no image, a label or a prediction is no class (the message names the image), or the labels
            do not fit the task.
    """
    classes = task.scored(labels)
    sums, worst = list[_ImageSums](), list[tuple[float, int, Judged]]()
    calibrations = []
    for index, image in enumerate(images):
        sums.append(own := _image_sums(image, formulas, len(labels), ignore_index, task))
        if image.calibration is not None:
            calibrations.append(image.calibration)
        if task.exclusive and not math.isnan(own.miou):
            keep = heapq.heappush if len(worst) < SHOWN else heapq.heappushpop
            keep(worst, (-own.miou, -index, _on_host(image)))
    if not sums:
        raise InputError("there is no image to judge")
    return Measured(
        formulas,
        classes,
        task.left_out(ignore_index),
        [own.name for own in sums],
        {each.name: _stacked([own.sums[each.summed_as()] for own in sums]) for each in formulas},
        labels,
        _shares(torch.stack([own.pixels for own in sums])),
        torch.stack([own.confusion for own in sums if own.confusion is not None]).sum(dim=0)
        if task.exclusive
        else None,
        calibrations,
        [image for *_, image in sorted(worst, reverse=True)],
    )


class _ImageSums(NamedTuple):
    """The sums of one image, by `Formula.summed_as` of the metrics.

    pixels: int64 (3, C), those of each class in the truth and in the prediction, and those that count. confusion: its
    matrix (K, K), if labels exclude each other.
    """

    name: str
    sums: dict[str, dict[str, Tensor]]
    pixels: Tensor
    confusion: Tensor | None
    miou: float


def _image_sums(
    image: Judged, formulas: Sequence[Formula], labels: int, ignore_index: int | None, task: Task
) -> _ImageSums:
    try:
        pred, truth = task.judged(image.predicted, image.truth, task.channels(labels), ignore_index)
    except InputError as error:
        raise InputError(f"{image.name}: {error}") from error
    distinct = {each.summed_as(): each for each in (*formulas, MeanIoU())}
    sums = {key: _exact_sums(each, pred, truth) for key, each in distinct.items()}
    confusion = _confusion(image, labels, truth.valid) if task.exclusive else None
    miou = float(exact_score(MeanIoU(), sums[MeanIoU().summed_as()], task.left_out(ignore_index)))
    return _ImageSums(image.name, sums, _pixels(pred, truth), confusion, miou)


def _confusion(image: Judged, labels: int, valid: Tensor) -> Tensor:
    cells = (image.truth * labels + image.predicted)[valid.squeeze(1)]
    return torch.bincount(cells.cpu(), minlength=labels**2).view(labels, labels)


def _pixels(pred: Map, truth: Truth) -> Tensor:
    valid = truth.valid
    found = (values({"pixels": m.total(valid)})["pixels"].cpu() for m in (truth.true, pred))
    return torch.stack([*found, valid.sum(dim=(0, 2, 3)).cpu().expand(pred.shape[1])])


def _shares(pixels: Tensor) -> Tensor:
    """The shares (2, C) of classes in the truth and in the prediction, of the pixels (n, 3, C) of images."""
    true, predicted, counted = pixels.sum(dim=0).double()
    return torch.stack([true, predicted]) / counted


def _exact_sums(formula: Formula, pred: Map, truth: Truth) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in exact_sums(formula, pred, truth.true, truth.valid).items()}


def _stacked(sums: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([own[name] for own in sums]) for name in sums[0]}


def _on_host(image: Judged) -> Judged:
    return image._replace(truth=image.truth.cpu(), predicted=image.predicted.cpu())
