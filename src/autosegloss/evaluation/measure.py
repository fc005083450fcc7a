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
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass

_MULTICLASS = Multiclass()
SHOWN = 6  # images, the worst ones, whose predictions are kept to be drawn


class Judged(NamedTuple):
    """An image with its truth and its prediction.

    name: identifies it. truth, predicted: integers (1, H, W). calibration: of its logits, if there are any. load: reads
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
        confusion: int64 (K, K), pixels by true label (row) and predicted label (column).
        calibrations: of each image; empty without logits.
        worst: the images of the lowest mIoU, the worst first.
    """

    formulas: Sequence[Formula]
    class_names: Sequence[str]
    ignore_index: int | None
    names: Sequence[str]
    sums: Mapping[str, Mapping[str, Tensor]]
    labels: Sequence[str]
    confusion: Tensor
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
        task: what the labels mean; a pixel must have one.

    Raises:
        InputError: there is no image, a label or a prediction is no class (the message names the image), or the labels
            do not fit the task.
    """
    classes = task.scored(labels)
    if not task.exclusive:
        raise InputError(
            f"task={task.name} has no label a pixel to judge in detail: result.json has the scores of the run, and "
            "autosegloss.metrics any other"
        )
    sums, worst = list[_ImageSums](), list[tuple[float, int, Judged]]()
    calibrations = []
    for index, image in enumerate(images):
        sums.append(own := _image_sums(image, formulas, len(labels), ignore_index, task))
        if image.calibration is not None:
            calibrations.append(image.calibration)
        if not math.isnan(own.miou):
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
        sum((own.confusion for own in sums), torch.zeros(())).long(),
        calibrations,
        [image for *_, image in sorted(worst, reverse=True)],
    )


class _ImageSums(NamedTuple):
    """The sums of one image, by `Formula.summed_as` of the metrics; its confusion matrix (K, K) and its mIoU."""

    name: str
    sums: dict[str, dict[str, Tensor]]
    confusion: Tensor
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
    cells = (image.truth * labels + image.predicted)[truth.valid.squeeze(1)]
    confusion = torch.bincount(cells.cpu(), minlength=labels**2).view(labels, labels)
    miou = float(exact_score(MeanIoU(), sums[MeanIoU().summed_as()], task.left_out(ignore_index)))
    return _ImageSums(image.name, sums, confusion, miou)


def _exact_sums(formula: Formula, pred: Map, truth: Truth) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in exact_sums(formula, pred, truth.true, truth.valid).items()}


def _stacked(sums: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([own[name] for own in sums]) for name in sums[0]}


def _on_host(image: Judged) -> Judged:
    return image._replace(truth=image.truth.cpu(), predicted=image.predicted.cpu())
