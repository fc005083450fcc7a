"""Numbers of images and of boundaries: MONAI, Boundary IoU, DAVIS, surface-distance."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from tool_numbers.rows import add, hot, mean_of
from tool_numbers.scenes import CLASSES, Scene

# MONAI


def monai(name: str, scene: Scene, **options: Any) -> float:
    """Of one-hot masks (N, C, H, W); of a binary scene of the foreground alone."""
    from monai import metrics

    metric = getattr(metrics, name)(reduction="mean", **options)
    metric(y_pred=hot(scene.preds), y=hot(scene.labels))
    return float(metric.aggregate())


row = add("monai", "monai.metrics", ignored=False)
NO_BACKGROUND, NO_EMPTY = {"include_background": False}, {"ignore_empty": False}
for name, ours in (("DiceMetric", "dice"), ("MeanIoU", "miou")):
    for given, options, more in (
        ("", 'classes="present", aggregate="image"', {}),
        ("include_background=False", 'classes="present", class_weights=[0, 1, 1, 1], aggregate="image"', NO_BACKGROUND),
        ("ignore_empty=False", 'aggregate="image", absent="one"', NO_EMPTY),
    ):
        row(f"`{name}({given})`", f'FormulaMetric("{ours}", 4, {options})', partial(monai, name, **more))
for distance in ("chessboard", "euclidean"):
    row(
        f'`SurfaceDiceMetric([2] * 4, include_background=True, distance_metric="{distance}")`',
        'FormulaMetric(SurfaceDice(tolerance=2), 4, aggregate="image")',
        partial(
            monai,
            "SurfaceDiceMetric",
            class_thresholds=[2.0] * CLASSES,
            include_background=True,
            distance_metric=distance,
        ),
        same=False,
    )


def of_images(number: Any, scene: Scene) -> float:
    """The mean over images of number(prediction, truth), masks (H, W) of bool."""
    pairs = zip(scene.preds.numpy() == 1, scene.labels.numpy() == 1, strict=True)
    return mean_of([number(pred, true) for pred, true in pairs])


# Boundary IoU of Cheng et al.


def boundary_iou(pred: np.ndarray, true: np.ndarray) -> float:
    from boundary_iou.utils.boundary_utils import mask_to_boundary

    p, t = (mask_to_boundary(mask.astype(np.uint8)) for mask in (pred, true))
    return (p & t).sum() / (p | t).sum() if (p | t).any() else np.nan


of_mask = {"task": "binary", "ignored": False}
row = add("boundary-iou-api", "boundary_iou.utils.boundary_utils", **of_mask)
row(
    "`mask_to_boundary` of both masks, and their IoU",
    'FormulaMetric("biou_cheng", task="binary", aggregate="image")',
    partial(of_images, boundary_iou),
)

# DAVIS


def davis(name: str, pred: np.ndarray, true: np.ndarray) -> float:
    from davis2017 import metrics

    return float(getattr(metrics, name)(true, pred))


row = add("davis2017-evaluation", "davis2017.metrics", **of_mask)
options = 'task="binary", aggregate="image", absent="one"'
row("J: `db_eval_iou`", f'FormulaMetric("miou", {options})', partial(of_images, partial(davis, "db_eval_iou")))
row(
    "F: `db_eval_boundary`",
    f"FormulaMetric(BoundaryF1(tolerance=0.008), {options})",
    partial(of_images, partial(davis, "db_eval_boundary")),
    same=False,
)


def vos(scene: Scene) -> float:
    from vos_benchmark.evaluator import Evaluator

    evaluator = Evaluator()
    for pred, true in zip(scene.preds.numpy(), scene.labels.numpy(), strict=True):
        evaluator.feed_frame(pred, true)
    return evaluator.conclude()[1][1] / 100


row = add("vos-benchmark", "vos_benchmark.evaluator", **of_mask)
row("F: `Evaluator`", f"FormulaMetric(BoundaryF1(tolerance=0.008), {options})", vos, same=False)

# surface-distance


def surface_dice(pred: np.ndarray, true: np.ndarray) -> float:
    import surface_distance as tool

    distances = tool.compute_surface_distances(true, pred, spacing_mm=(1.0, 1.0))
    return tool.compute_surface_dice_at_tolerance(distances, tolerance_mm=2.0)


row = add("surface-distance", "surface_distance", **of_mask)
row(
    "`compute_surface_dice_at_tolerance(..., 2)`",
    'FormulaMetric(SurfaceDice(tolerance=2), task="binary", aggregate="image")',
    partial(of_images, surface_dice),
    same=False,
)
