"""What an evaluation measures, against torchmetrics, scikit-learn's definitions written out, and loops over images."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_jaccard_index,
)

from autosegloss.errors import InputError
from autosegloss.evaluation.bootstrap import differences, resampled_class_scores, resampled_scores
from autosegloss.evaluation.calibration import Calibration
from autosegloss.evaluation.measure import SHOWN, Judged, measure
from autosegloss.formulas import PAPER, BoundaryF1, MeanIoU, resolve, weighted_sum
from autosegloss.metrics import FormulaMetric
from autosegloss.ranking import interval, resamples

CLASSES, IGNORED = ("a", "b", "c", "d"), 255
FORMULAS = [resolve(name) for name in PAPER if name != "bf1"] + [BoundaryF1(tolerance=1)]


def drawn(count: int, seed: int = 0, right: float = 0.6, size=(9, 12)) -> list[Judged]:
    """Images of random classes (the last one is rare), predictions of which a share is right, some pixels ignored."""
    rng = np.random.default_rng(seed)
    images = []
    for index in range(count):
        truth = rng.choice(4, (1, *size), p=[0.5, 0.3, 0.15, 0.05])
        wrong = rng.integers(0, 4, truth.shape)
        predicted = np.where(rng.random(truth.shape) < right, truth, wrong)
        truth = np.where(rng.random(truth.shape) < 0.1, IGNORED, truth)
        images.append(Judged(f"image {index}", torch.from_numpy(truth).int(), torch.from_numpy(predicted).int()))
    return images


def metric_of(formula, images, **options) -> torch.Tensor:
    """The score of images as torchmetrics of the library accumulate it, one by one."""
    metric = FormulaMetric(formula, len(CLASSES), IGNORED, **options)
    for image in images:
        metric.update(image.predicted, image.truth)
    return metric.compute()


def test_scores_are_those_of_the_metrics_over_all_images_per_class_and_per_image():
    images = drawn(7)
    measured = measure(images, FORMULAS, CLASSES, IGNORED)
    for formula in FORMULAS:
        name = formula.name
        assert measured.scores[name] == pytest.approx(float(metric_of(formula, images)))
        torch.testing.assert_close(measured.class_scores[name].float(), metric_of(formula, images, per_class=True))
        each = [float(metric_of(formula, [image])) for image in images]
        assert measured.image_scores[name] == pytest.approx(each)


def test_scores_of_images_of_different_sizes_are_those_of_torchmetrics():
    images = [*drawn(3), *drawn(2, seed=1, size=(5, 20))]
    measured = measure(images, FORMULAS, CLASSES, IGNORED)
    pred = torch.cat([image.predicted.flatten() for image in images])
    true = torch.cat([image.truth.flatten() for image in images])
    options = {"num_classes": 4, "ignore_index": IGNORED}
    assert measured.scores["miou"] == pytest.approx(float(multiclass_jaccard_index(pred, true, **options)))
    torch.testing.assert_close(measured.confusion, multiclass_confusion_matrix(pred, true, **options))


def test_columns_of_classes_leave_out_metrics_that_only_weigh_the_classes():
    both = weighted_sum([MeanIoU(), BoundaryF1()], [1, 1])
    measured = measure(drawn(1), [resolve(name) for name in PAPER] + [both], CLASSES, IGNORED)
    assert [formula.name for formula in measured.class_columns()] == ["macc", "miou", "biou", "bf1", "miou+bf1"]


def test_the_worst_images_are_those_of_the_lowest_miou_in_order():
    images = [image for k in range(12) for image in drawn(1, seed=k, right=(7 * k % 12) / 12)]
    images = [image._replace(name=str(k)) for k, image in enumerate(images)]
    empty = images[3]._replace(name="nothing to judge", truth=torch.full((1, 9, 12), IGNORED))
    measured = measure([*images, empty], FORMULAS, CLASSES, IGNORED)
    scores = [float(metric_of("miou", [image])) for image in images]
    expected = sorted(range(12), key=scores.__getitem__)[:SHOWN]
    assert [image.name for image in measured.worst] == [str(k) for k in expected]
    assert np.isnan(measured.image_scores["miou"][-1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there is no image to judge"),
        ([Judged("street", torch.full((1, 2, 2), 4), torch.zeros(1, 2, 2).int())], r"^street: labels .* got \[4\]"),
        (
            [Judged("street", torch.zeros(1, 2, 2).int(), torch.full((1, 2, 2), 7))],
            r"^street: predictions .* got \[7\]",
        ),
    ],
)
def test_what_cannot_be_judged_is_told_with_its_name(images, message):
    with pytest.raises(InputError, match=message):
        measure(images, FORMULAS, CLASSES, IGNORED)


def test_the_calibration_error_is_that_of_torchmetrics_image_by_image():
    logits = 3 * torch.randn(4, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(5, (4, 16, 16), generator=torch.Generator().manual_seed(1))
    labels[:, 0] = IGNORED
    parts = [Calibration.of(*(part[k : k + 1] for part in (logits, labels)), IGNORED) for k in range(4)]
    error = sum(parts[1:], start=parts[0]).error
    reference = multiclass_calibration_error(logits.softmax(1), labels, 5, n_bins=15, ignore_index=IGNORED)
    assert error == pytest.approx(float(reference), abs=1e-6)


def test_a_confidence_of_one_belongs_to_the_last_bin():
    logits = torch.tensor([100.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    calibration = Calibration.of(logits, torch.tensor([[[0, 0], [0, 1]]]), None)
    assert calibration.count.tolist() == [0.0] * 14 + [4.0]
    assert calibration.error == pytest.approx(0.25)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_a_resample_scores_as_the_images_it_repeats(formula):
    images = drawn(6)
    measured, counts = measure(images, [formula], CLASSES, IGNORED), resamples(6, 5, seed=3)
    assert (counts.sum(dim=1) == 6).all()
    scores, by_class = resampled_scores(measured, formula, counts), resampled_class_scores(measured, formula, counts)
    for draw, own in enumerate(counts.int().tolist()):
        repeated = [image for image, times in zip(images, own, strict=True) for _ in range(times)]
        assert float(scores[draw]) == pytest.approx(float(metric_of(formula, repeated)))
        torch.testing.assert_close(by_class[draw].float(), metric_of(formula, repeated, per_class=True), equal_nan=True)


def test_resamples_are_draws_with_replacement():
    counts = resamples(5, 20_000, seed=0)
    assert torch.equal(counts, resamples(5, 20_000, seed=0))
    assert not torch.equal(counts, resamples(5, 20_000, seed=1))
    # each count is binomial with 5 draws and probability 1/5
    torch.testing.assert_close(counts.mean(dim=0), torch.ones(5).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(counts.var(dim=0), torch.full((5,), 0.8).double(), atol=0.03, rtol=0)


def test_the_interval_is_that_of_the_percentiles():
    assert interval(torch.arange(1001).double()) == pytest.approx((25, 975))
    assert interval(torch.tensor([1.0, torch.nan, 1.0])) == (1.0, 1.0)
    assert np.isnan(interval(torch.tensor([torch.nan]))).all()


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    """Of gAcc with equally many pixels an image: the mean over images, whose spread is known."""
    images = [image._replace(truth=image.predicted.clone()) for image in drawn(80)]
    rng = np.random.default_rng(5)
    for image in images:
        image.truth[rng.random(image.truth.shape) < rng.uniform(0, 0.5)] = 0
    measured = measure(images, [resolve("gacc")], CLASSES, IGNORED)
    each = torch.tensor(measured.image_scores["gacc"])
    low, high = interval(resampled_scores(measured, resolve("gacc"), resamples(80, 4000, seed=0)))
    error = float(each.std(correction=0)) / 80**0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_differences_are_paired():
    better, worse = drawn(30, right=0.7), drawn(30, right=0.5)
    one, other = (measure(images, FORMULAS, CLASSES, IGNORED) for images in (better, worse))
    other.confusion[:] = one.confusion  # the same truth
    counts = resamples(30, 200, seed=0)
    found = differences(one, other, counts)["miou"]
    drawn_differences = [
        float(metric_of("miou", repeated(better, own))) - float(metric_of("miou", repeated(worse, own)))
        for own in counts[:3].int().tolist()
    ]
    scores = resampled_scores(one, MeanIoU(), counts) - resampled_scores(other, MeanIoU(), counts)
    assert scores[:3].tolist() == pytest.approx(drawn_differences)
    assert found.interval == interval(scores)
    assert found.below_zero == float((scores < 0).double().mean())
    assert found.value == pytest.approx(one.scores["miou"] - other.scores["miou"])
    same = differences(one, one, counts)["miou"]
    assert (same.value, tuple(same.interval), same.below_zero) == (0, (0, 0), 0)


def repeated(images, counts):
    return [image for image, times in zip(images, counts, strict=True) for _ in range(times)]


def test_runs_on_other_images_cannot_be_paired():
    one, other = (measure(drawn(3, seed=seed), FORMULAS, CLASSES, IGNORED) for seed in (0, 1))
    with pytest.raises(InputError, match="not judged on the same masks"):
        differences(one, other, resamples(3, 2, 0))
