"""Dice, F-beta, Tversky, precision, recall and MCC: what they are to each other and to those of other libraries."""

import functools

import numpy as np
import pytest
import torch
from helpers import laws
from segmentation_models_pytorch import metrics
from segmentation_models_pytorch.losses import DiceLoss
from torch.testing import assert_close
from torchmetrics.functional import classification as tm
from torchmetrics.segmentation import DiceScore

from autosegloss import InputError, SurrogateLoss
from autosegloss.algebra.inputs import label_map
from autosegloss.formulas import (
    Dice,
    FBeta,
    MatthewsCorrelation,
    MeanAccuracy,
    MeanIoU,
    Precision,
    Recall,
    Tversky,
    resolve,
)
from autosegloss.metrics import FormulaMetric, segmentation_metrics

CLASSES = 5


def scene(absent=()):
    """Predictions and labels (3, 9, 11) with ignored pixels; classes of `absent` are in neither."""
    rng = torch.Generator().manual_seed(0)
    here = torch.tensor([c for c in range(CLASSES) if c not in absent])
    labels, preds = (here[torch.randint(len(here), (3, 9, 11), generator=rng)] for _ in range(2))
    preds = preds.where(torch.rand(preds.shape, generator=rng) < 0.5, labels)
    return preds, labels.masked_fill(torch.rand(labels.shape, generator=rng) < 0.1, laws.IGNORE)


def classes_of(formula, preds, labels):
    metric = FormulaMetric(formula, CLASSES, laws.IGNORE, per_class=True)
    metric.update(preds, labels)
    return metric.compute()


def mcc(preds, labels, num_classes, ignore_index, average):
    """(1 + r) / 2 of each class against the rest."""
    valid = labels != ignore_index
    each = [tm.binary_matthews_corrcoef((preds == c)[valid], (labels == c)[valid]) for c in range(num_classes)]
    scores = (1 + torch.stack(each)) / 2
    return scores if average == "none" else scores.mean()


def dice(preds, labels, num_classes, ignore_index, average):
    valid = (labels != ignore_index).unsqueeze(1)
    one_hot = (
        torch.nn.functional.one_hot(x.where(valid[:, 0], 0), num_classes).movedim(-1, 1) for x in (preds, labels)
    )
    metric = DiceScore(num_classes, average=average, aggregation_level="global")
    return metric(*(x * valid for x in one_hot))


OTHERS = {
    "dice": (Dice(), tm.multiclass_f1_score),
    "dice, DiceScore": (Dice(), dice),
    "fbeta 1": (FBeta(), tm.multiclass_f1_score),
    "fbeta 2": (FBeta(beta=2), lambda *given, **options: tm.multiclass_fbeta_score(*given, beta=2.0, **options)),
    "fbeta 0.5": (FBeta(0.5), lambda *given, **options: tm.multiclass_fbeta_score(*given, beta=0.5, **options)),
    "tversky 1 1": (Tversky(1, 1), tm.multiclass_jaccard_index),
    "precision": (Precision(), tm.multiclass_precision),
    "recall": (Recall(), tm.multiclass_recall),
    "mcc": (MatthewsCorrelation(), mcc),
}


@pytest.mark.parametrize(("formula", "other"), OTHERS.values(), ids=OTHERS)
def test_the_score_of_a_class_is_that_of_torchmetrics(formula, other):
    preds, labels = scene()
    options = {"num_classes": CLASSES, "ignore_index": laws.IGNORE}
    assert_close(classes_of(formula, preds, labels), other(preds, labels, average="none", **options))
    assert_close(laws.exact_score(formula, preds, labels, CLASSES), other(preds, labels, average="macro", **options))


SAME_RULE = {name: OTHERS[name] for name in ("dice", "fbeta 2", "precision", "tversky 1 1", "recall")}


@pytest.mark.parametrize(("formula", "other"), SAME_RULE.values(), ids=SAME_RULE)
def test_a_class_in_neither_is_out_of_the_mean_as_in_torchmetrics(formula, other):
    preds, labels = scene(absent=[1, 4])
    options = {"num_classes": CLASSES, "ignore_index": laws.IGNORE, "average": "macro"}
    assert_close(laws.exact_score(formula, preds, labels, CLASSES), other(preds, labels, **options))
    assert classes_of(formula, preds, labels).isnan().tolist() == [False, True, False, False, True]


def test_a_class_that_is_predicted_only_counts_as_in_torchmetrics_except_for_recall():
    preds, labels = scene(absent=[4])
    preds[0, 0] = 4
    options = {"num_classes": CLASSES, "ignore_index": laws.IGNORE, "average": "macro"}
    for name in ("dice", "fbeta 2", "precision", "tversky 1 1"):
        formula, other = SAME_RULE[name]
        assert_close(laws.exact_score(formula, preds, labels, CLASSES), other(preds, labels, **options))
        assert classes_of(formula, preds, labels)[4] == 0
    ours, theirs = laws.exact_score(Recall(), preds, labels, CLASSES), tm.multiclass_recall(preds, labels, **options)
    assert_close(ours * 4, theirs * 5)


SMP = {
    "miou": metrics.iou_score,
    "dice": metrics.f1_score,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "fbeta": functools.partial(metrics.fbeta_score, beta=2),
}


@pytest.mark.parametrize("name", SMP)
def test_the_score_is_that_of_smp_where_each_class_is_present(name):
    preds, labels = scene()
    stats = metrics.get_stats(preds, labels, "multiclass", ignore_index=laws.IGNORE, num_classes=CLASSES)
    formula = FBeta(beta=2) if name == "fbeta" else resolve(name)
    assert_close(laws.exact_score(formula, preds, labels, CLASSES), SMP[name](*stats, reduction="macro"))


# To each other


def bent(formula, logits, labels):
    theta = torch.rand(6 * len(formula.operations), generator=torch.Generator().manual_seed(3))
    return laws.value_and_gradient(SurrogateLoss(formula, theta=theta), logits, labels)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Tversky(0.5, 0.5), Dice()),
        (Tversky(1, 1), MeanIoU()),
        (Tversky(1, 0), Precision()),
        (FBeta(), Dice()),
        (FBeta(beta=2), Tversky(0.2, 0.8)),
        (Recall(), MeanAccuracy()),
    ],
    ids=str,
)
def test_two_that_are_the_same_are_so_for_every_theta(one, other):
    logits, labels = laws.batch(ignored=0.1)
    assert_close(bent(one, logits, labels), bent(other, logits, labels))
    assert_close(*(laws.exact_score(f, logits.argmax(1), labels, 3) for f in (one, other)))


def test_formulas_of_the_same_sums_share_them():
    names = ["miou", "dice", "precision", "recall", "macc", "bf1", "nsd"]
    groups = segmentation_metrics(3, metrics=names).compute_groups.values()
    expected = ({"miou", "dice", "precision"}, {"macc", "recall"}, {"bf1", "nsd"})
    assert {frozenset(group) for group in groups} == {frozenset(group) for group in expected}


def test_unbent_dice_is_the_soft_dice_of_smp():
    """Over the whole batch, where each class is present; smp leaves out an absent class and divides by all."""
    logits, labels = laws.batch(ignored=0.1)
    theirs = DiceLoss("multiclass", ignore_index=laws.IGNORE, smooth=0.0)
    assert_close(SurrogateLoss("dice")(logits, labels), theirs(logits, labels.clone()))


def test_unbent_dice_of_an_image_is_that_of_the_sums_of_probabilities():
    """2 sum p y / (sum p + sum y), as in MONAI's DiceLoss without smoothing, which takes each image by itself."""
    logits, labels = laws.batch(ignored=0)
    p, y = logits.softmax(1).numpy(), label_map(labels, 3, None).dense().numpy()
    each = 2 * (p * y).sum((2, 3)) / (p.sum((2, 3)) + y.sum((2, 3)))
    ours = [SurrogateLoss("dice")(x[None], t[None]) for x, t in zip(logits, labels, strict=True)]
    assert_close(torch.stack(ours).mean(), torch.tensor(1 - each.mean(dtype=np.float64), dtype=torch.float32))


def test_correlation_keeps_its_digits_with_many_pixels():
    counts = {"intersection": 10**10 - 1, "union": 10**10 + 1, "true": 10**10, "pixels": 10**14}
    sums = {name: torch.tensor([count]) for name, count in counts.items()}
    expected = torch.tensor([1 - 5.0005e-11], dtype=torch.float64)
    assert_close(MatthewsCorrelation().class_scores(sums), expected, rtol=0, atol=1e-14)


MISTAKES = {
    "beta must be above 0": (lambda: FBeta(beta=0), "beta: expected a number above 0, got 0"),
    "no number": (lambda: FBeta(beta="2"), "beta: expected a number above 0, got '2'"),
    "weights below 0": (lambda: Tversky(alpha=-1), "alpha and beta must be numbers of 0 or more"),
    "no weights": (lambda: Tversky(0, 0), r"not both 0, got \(0, 0\)"),
    "nan": (lambda: Tversky(beta=float("nan")), "alpha and beta must be numbers of 0 or more"),
}


@pytest.mark.parametrize(("make", "message"), MISTAKES.values(), ids=MISTAKES)
def test_an_option_that_means_nothing_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
