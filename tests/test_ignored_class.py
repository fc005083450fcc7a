"""An ignored label that is a class: the class is out of every average, and where it is predicted it is wrong."""

import pytest
import torch
from helpers import laws, loss_references
from helpers.loss_members import NAMES, SURROGATES, made
from helpers.members import every_card, every_metric, slow
from helpers.references import SUMS, reference
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from autosegloss import SurrogateLoss, ThetaCard
from autosegloss.formulas import WeightedSum
from autosegloss.losses import WeightedCrossEntropy
from autosegloss.metrics import FormulaMetric, MeanIoU, segmentation_metrics

CLASSES = 4
every_ignored = pytest.mark.parametrize("ignored", [1, *slow([(0,), (3,)])])


def scene(seed=0):
    """Predictions and labels of all classes, with large regions."""
    preds, labels = torch.randint(CLASSES, (2, 2, 12, 13), generator=torch.Generator().manual_seed(seed))
    preds[..., :5], labels[..., 2:8] = 1, 1
    return preds, labels


def moved(labels, ignored, outside=255):
    """The labels whose ignored class is a label outside of the classes."""
    return labels.where(labels != ignored, outside)


def test_the_mean_is_that_of_the_other_classes():
    preds, labels = torch.tensor([[[0, 1, 1, 2, 2, 0]]]), torch.tensor([[[0, 1, 1, 2, 2, 2]]])
    metric = MeanIoU(3, ignore_index=0, per_class=True)
    assert_close(metric(preds, labels), torch.tensor([torch.nan, 1, 2 / 3]), equal_nan=True)
    assert_close(MeanIoU(3, ignore_index=0)(preds, labels), torch.tensor(5 / 6))


@every_ignored
@pytest.mark.parametrize("outside", [255, -1, -100, None])
def test_metrics_are_those_of_torchmetrics(ignored, outside):
    """Its macro accuracy counts the ignored class with 0 as soon as it is predicted: the mean is taken here."""
    preds, labels = scene()
    labels, ignored = (labels, ignored) if outside is None else (moved(labels, ignored, outside), outside)
    common = {"num_classes": CLASSES, "ignore_index": ignored}
    recalls = multiclass_accuracy(preds, labels, average="none", **common)
    expected = {
        "gacc": multiclass_accuracy(preds, labels, average="micro", **common),
        "macc": recalls[labels[labels != ignored].unique()].mean(),
        "miou": multiclass_jaccard_index(preds, labels, average="macro", **common),
        "fwiou": multiclass_jaccard_index(preds, labels, average="weighted", **common),
    }
    for name, value in expected.items():
        assert_close(FormulaMetric(name, **common)(preds, labels), value)


@every_ignored
@pytest.mark.parametrize("name", ["gacc", "macc", "miou", "fwiou", "biou", "bf1", "miou+biou", "miou+bf1"])
def test_metrics_are_their_definition_without_the_class(name, ignored, monkeypatch):
    """In the slow reference the ignored class has no pixels, not even predicted ones."""
    preds, labels = scene()

    def without(sums):
        return lambda p, t, c, *rest: tuple((c != ignored) * k for k in sums(p, t, c, *rest))

    for one in name.split("+"):
        monkeypatch.setitem(SUMS, one, without(SUMS[one]))
    expected = reference(name, preds.numpy(), labels.numpy(), CLASSES, ignore=ignored)
    assert_close(FormulaMetric(name, CLASSES, ignored)(preds, labels), torch.tensor(expected, dtype=torch.float32))


@every_metric
@every_ignored
def test_class_scores_have_nan_at_the_class_and_those_of_the_others_do_not_change(formula, ignored):
    preds, labels = scene()
    scores = FormulaMetric(formula, CLASSES, ignored, per_class=True)(preds, labels)
    plain = FormulaMetric(formula, CLASSES, 255, per_class=True)(preds, moved(labels, ignored))
    others = torch.arange(CLASSES) != ignored
    assert scores.shape == (CLASSES,)
    assert scores[ignored].isnan()
    assert_close(scores[others], plain[others])
    average = FormulaMetric(formula, CLASSES, ignored)(preds, labels)
    if formula.name not in ("gacc", "fwiou") and not isinstance(formula, WeightedSum):
        assert_close(average, scores[others].mean())


def test_a_collection_leaves_the_class_out_and_counts_over_batches():
    together = segmentation_metrics(CLASSES, ignore_index=1)
    data = [scene(seed) for seed in (0, 1)]
    for preds, labels in data:
        together.update(preds, labels)
    preds, labels = (torch.cat(x) for x in zip(*data, strict=True))
    for name, value in together.compute().items():
        assert_close(value, FormulaMetric(name, CLASSES, 1)(preds, labels))


# Losses


def batch():
    return laws.batch((2, 9, 11), num_classes=CLASSES, ignored=0)


@every_metric
@every_ignored
@pytest.mark.parametrize("classes", ["all", "present"])
def test_a_surrogate_averages_over_the_other_classes(formula, ignored, classes):
    """1 - score, whose sums over the classes are those without the ignored one."""
    logits, labels = batch()
    loss = SurrogateLoss(formula, theta=[0.3] * 6 * len(formula.operations), ignore_index=ignored, classes=classes)
    value, gradient = laws.value_and_gradient(loss, logits, labels)
    others = [c for c in range(CLASSES) if c != ignored]

    def dense(x, y):
        return 1 - formula.score({name: v[others] for name, v in loss.dense_statistics(x, y).items()}, classes)

    assert_close((value, gradient), laws.value_and_gradient(dense, logits, labels), rtol=1e-5, atol=1e-6)
    assert gradient.movedim(1, -1)[labels == ignored].eq(0).all()
    if classes == "present":
        outside = SurrogateLoss(formula, theta=loss.theta, classes=classes)
        assert_close(value, outside(logits, moved(labels, ignored)))


@every_card
def test_a_perfect_prediction_has_loss_0(card):
    labels = scene()[1]
    perfect = 60 * torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
    loss = SurrogateLoss.from_pretrained(card, ignore_index=0)
    assert_close(loss(perfect, labels), torch.tensor(0.0), rtol=0, atol=1e-4)
    assert loss(perfect.roll(1, 1), labels) > 0.1
    assert ThetaCard.load(card).classes == "all"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SURROGATES and not name.startswith("ssim")])
@every_ignored
def test_a_hand_made_loss_is_that_of_the_pixels_that_count(name, ignored):
    """Dice and Jaccard average over one class less than with a label outside; SSIM has a test of its own."""
    logits, labels = batch()
    loss, outside = (made(name, i) for i in (ignored, 255))
    if name == "wce":
        loss, outside = (WeightedCrossEntropy([1, 2, 3, 4], ignore_index=i) for i in (ignored, 255))
    expected = laws.value_and_gradient(outside, logits, moved(labels, ignored))
    factor = 4 / 3 if name in ("dice", "jaccard") else 1
    assert_close(laws.value_and_gradient(loss, logits, labels), tuple(factor * x for x in expected))


@every_ignored
def test_ssim_averages_over_the_other_classes(ignored):
    logits, labels = laws.batch((1, 7, 8), num_classes=CLASSES, ignored=0)
    expected = loss_references.ssim(logits.double().numpy(), moved(labels, ignored).numpy(), left_out=ignored)
    assert_close(made("ssim_only", ignored)(logits, labels).item(), expected, rtol=1e-5, atol=1e-6)


def test_measured_weights_leave_the_class_out():
    """The pixels of the first class do not count: the weights of the others are 5 / (2 n_c)."""
    counts = torch.tensor([5, 3, 2], dtype=torch.float64)
    loss = WeightedCrossEntropy(ignore_index=0)
    loss.measure(counts)
    assert_close(loss.weights, [0.0, 5 / 6, 5 / 4])
    assert counts.tolist() == [5, 3, 2]
    logits, labels = torch.randn(1, 3, 4, 4), torch.randint(3, (1, 4, 4))
    per_pixel = cross_entropy(logits, labels, torch.tensor(loss.weights), reduction="none", ignore_index=0)
    assert_close(loss(logits, labels), per_pixel.sum() / (labels != 0).sum())
