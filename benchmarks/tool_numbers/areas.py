"""Numbers of regions: MMSegmentation, cityscapesScripts, torchmetrics, scikit-learn, smp, kornia."""

from __future__ import annotations

import tempfile
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tool_numbers.rows import add, mean_of
from tool_numbers.scenes import CLASSES, IGNORE, Scene

# MMSegmentation


def mmseg(name: str, scene: Scene) -> float:
    from mmseg.evaluation.metrics import IoUMetric

    areas = IoUMetric.intersect_and_union(scene.preds, scene.labels, CLASSES, IGNORE)
    return mean_of(IoUMetric.total_area_to_metrics(*areas, ["mIoU", "mDice", "mFscore"])[name])


row = add("mmsegmentation", "mmseg.evaluation.metrics")
for call, name, ours in (
    ("`IoUMetric`: mIoU", "IoU", "miou"),
    ("`IoUMetric`: mAcc", "Acc", "macc"),
    ("`IoUMetric`: aAcc", "aAcc", "gacc"),
    ("`IoUMetric`: mDice", "Dice", "dice"),
):
    row(call, f'FormulaMetric("{ours}", 4)', partial(mmseg, name))
row(
    "`IoUMetric`: mFscore, which leaves out a class that is never right",
    'FormulaMetric("fbeta", 4)',
    partial(mmseg, "Fscore"),
    same=False,
)

# cityscapesScripts


def cityscapes(scene: Scene) -> float:
    """The average IoU of its classes, of mask files: ours become road, building, vegetation, sky."""
    from PIL import Image

    tool = import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    tool.args.evalInstLevelScore = tool.args.evalPixelAccuracy = False
    ids, matrix = torch.tensor([7, 11, 21, 23]), tool.generateMatrix(tool.args)
    truth = ids[scene.labels.where(scene.counts, 0)].where(scene.counts, 0)  # 0 is unlabeled
    with tempfile.TemporaryDirectory() as folder:
        for pred, true in zip(ids[scene.preds], truth, strict=True):
            files = [Path(folder) / "pred.png", Path(folder) / "true.png"]
            for mask, file in zip((pred, true), files, strict=True):
                Image.fromarray(mask.numpy().astype(np.uint8)).save(file)
            tool.evaluatePair(*map(str, files), matrix, {}, {}, tool.args)
    return mean_of([tool.getIouScoreForLabel(int(label), matrix, tool.args) for label in ids])


row = add("cityscapesscripts", "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
row("`evalPixelLevelSemanticLabeling`: Score Average, IoU", 'FormulaMetric("miou", 4)', cityscapes)

# torchmetrics


def torchmetrics_class(name: str, scene: Scene, **options: Any) -> float:
    from torchmetrics import classification

    return float(getattr(classification, name)(ignore_index=IGNORE, **options)(scene.preds, scene.labels))


def torchmetrics_images(name: str, scene: Scene, **options: Any) -> float:
    from torchmetrics import segmentation

    return float(getattr(segmentation, name)(CLASSES, input_format="index", **options)(scene.preds, scene.labels))


row = add("torchmetrics", "torchmetrics")
for call, ours, options in (
    ("MulticlassJaccardIndex", "miou", {}),
    ("MulticlassJaccardIndex", "fwiou", {"average": "weighted"}),
    ("MulticlassAccuracy", "gacc", {"average": "micro"}),
    ("MulticlassF1Score", "dice", {"average": "macro"}),
):
    given = ", ".join(["4", *(f'{key}="{value}"' for key, value in options.items())])
    theirs = partial(torchmetrics_class, call, num_classes=CLASSES, **options)
    row(f"`{call}({given})`", f'FormulaMetric("{ours}", 4)', theirs)
row(
    '`MulticlassAccuracy(4, average="macro")`, which counts a class that is only predicted as 0',
    'FormulaMetric("macc", 4)',
    partial(torchmetrics_class, "MulticlassAccuracy", num_classes=CLASSES, average="macro"),
    same=False,
)
row(
    "`BinaryJaccardIndex()`",
    'FormulaMetric("miou", task="binary")',
    partial(torchmetrics_class, "BinaryJaccardIndex"),
    task="binary",
)
row(
    "`segmentation.MeanIoU(4)`",
    'FormulaMetric("miou", 4, aggregate="image")',
    partial(torchmetrics_images, "MeanIoU"),
    ignored=False,
)
row(
    '`segmentation.DiceScore(4, average="macro")`',
    'FormulaMetric("dice", 4, aggregate="image")',
    partial(torchmetrics_images, "DiceScore", average="macro"),
    ignored=False,
)
row(
    '`segmentation.DiceScore(4, average="macro", aggregation_level="global")`',
    'FormulaMetric("dice", 4)',
    partial(torchmetrics_images, "DiceScore", average="macro", aggregation_level="global"),
    ignored=False,
)

# scikit-learn


def scikit_learn(name: str, scene: Scene, **options: Any) -> float:
    """Of the pixels that count, in a row."""
    from sklearn import metrics

    return float(getattr(metrics, name)(scene.labels[scene.counts], scene.preds[scene.counts], **options))


row = add("scikit-learn", "sklearn.metrics")
for call, ours, options in (
    ("jaccard_score", '"miou", 4', {"average": "macro"}),
    ("jaccard_score", '"fwiou", 4', {"average": "weighted"}),
    ("accuracy_score", '"gacc", 4', {}),
    ("balanced_accuracy_score", '"macc", 4', {}),
    ("f1_score", '"dice", 4', {"average": "macro"}),
    ("fbeta_score", "FBeta(beta=2), 4", {"beta": 2, "average": "macro"}),
    ("precision_score", '"precision", 4', {"average": "macro"}),
):
    given = ", ".join(["y", "p", *(f"{key}={value!r}" for key, value in options.items())]).replace("'", '"')
    row(f"`{call}({given})`", f"FormulaMetric({ours})", partial(scikit_learn, call, **options))
row(
    '`recall_score(y, p, average="macro")`, which counts a class that is only predicted as 0',
    'FormulaMetric("recall", 4)',
    partial(scikit_learn, "recall_score", average="macro"),
    same=False,
)
row(
    "`(1 + matthews_corrcoef(y, p)) / 2` of masks of one class",
    'FormulaMetric("mcc", task="binary")',
    lambda scene: (1 + scikit_learn("matthews_corrcoef", scene)) / 2,
    task="binary",
)

# segmentation_models_pytorch


def smp(name: str, scene: Scene, reduction: str, mode: str = "multiclass") -> float:
    from segmentation_models_pytorch import metrics

    options = {"num_classes": CLASSES, "ignore_index": IGNORE} if mode == "multiclass" else {}
    stats = metrics.get_stats(scene.preds, scene.labels, mode, **options)
    return float(getattr(metrics, name)(*stats, reduction=reduction))


row = add("segmentation-models-pytorch", "segmentation_models_pytorch.metrics")
for call, reduction, ours in (
    ("iou_score", "macro", '"miou", 4, absent="one"'),
    ("f1_score", "macro", '"dice", 4, absent="one"'),
    ("iou_score", "macro-imagewise", '"miou", 4, aggregate="image,class", absent="one"'),
):
    shown = f'`get_stats(mode="multiclass")`, `{call}(reduction="{reduction}")`'
    row(shown, f"FormulaMetric({ours})", partial(smp, call, reduction=reduction))
row(
    '`get_stats(mode="binary")`, `iou_score(reduction="micro-imagewise")`',
    'FormulaMetric("miou", task="binary", aggregate="image", absent="one")',
    partial(smp, "iou_score", reduction="micro-imagewise", mode="binary"),
    task="binary",
    ignored=False,
)

# kornia


def kornia(scene: Scene) -> float:
    from kornia.metrics import mean_iou

    return float(mean_iou(scene.preds, scene.labels, CLASSES).mean())


row = add("kornia", "kornia.metrics")
ours = 'FormulaMetric("miou", 4, aggregate="image,class", absent="one")'
row("`mean_iou(p, y, 4).mean()`", ours, kornia, ignored=False)
