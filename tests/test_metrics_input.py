"""The input of the metrics: invalid input raises an error and is not counted; their plot."""

import matplotlib
import pytest
import torch
from helpers.laws import IGNORE, exact_score
from helpers.members import METRICS
from matplotlib import pyplot

from autosegloss import InputError, formulas, metrics
from autosegloss.metrics import FormulaMetric, segmentation_metrics

LABELS = torch.zeros(2, 4, 4, dtype=torch.long)


@pytest.mark.parametrize(
    ("message", "preds", "labels"),
    [
        (r"expected logits with num_classes=3 channels, got 4", torch.zeros(2, 4, 4, 4), LABELS),
        (r"predictions must lie in \[0, 3\), got \[5\]$", LABELS + 5, LABELS),
        (r"predictions must lie in \[0, 3\), got \[-1\]$", LABELS - 1, LABELS),
        (r"labels must lie in \[0, 3\), got \[3\]; .* 255 \(ignore_index\)", LABELS, LABELS + 3),
        (r"labels must be class indices of an integer type, got torch.float32", LABELS, LABELS.float()),
        (r"expected torch tensors, got numpy.ndarray", LABELS.numpy(), LABELS.numpy()),
        (r"expected torch tensors, got numpy.ndarray", LABELS.numpy(), LABELS),
        (r"expected torch tensors, got list", LABELS, LABELS.tolist()),
        (r"predicted classes of the shape of the labels.*torch.int64 \(2, 4, 3\)", LABELS[..., 1:], LABELS),
        (
            r"predicted classes of the shape of the labels.*\(2, 3, 4, 4\)",
            LABELS[:, None].expand(2, 3, 4, 4),
            LABELS,
        ),
        (
            r"labels of the same shape.*\(2, 3, 4, 4\) and labels \(2, 4, 3\)",
            torch.zeros(2, 3, 4, 4),
            LABELS[..., 1:],
        ),
        (r"labels of the same shape.*logits \(2, 4, 4\).* task=\"binary\"", LABELS.float(), LABELS),
        (r"2 classes or more, got 1: .* torch.cat\(\[torch.zeros_like\(z\), z\]", torch.zeros(2, 1, 4, 4), LABELS),
        (r"predictions must be class indices .*torch.bool: convert them by predictions.long", LABELS.bool(), LABELS),
        (r"predicted classes of the shape of the labels.*labels\.squeeze\(1\)$", LABELS, LABELS[:, None]),
        (r"predicted classes of the shape of the labels.*preds\.squeeze\(1\)$", LABELS[:, None], LABELS),
        (r"predictions and labels on one device, got meta and cpu", LABELS.to("meta"), LABELS),
    ],
)
def test_wrong_input_is_told_and_not_counted(message, preds, labels):
    metric = FormulaMetric("miou", 3)
    with pytest.raises(InputError, match=message):
        metric.update(preds, labels)
    assert metric.true.sum() == 0


def test_predictions_at_ignored_pixels_may_be_anything():
    labels = LABELS.clone()
    labels[:, 0] = IGNORE
    assert exact_score(METRICS["miou"], LABELS.where(labels != IGNORE, 77), labels, 3) == 1


def test_unknown_names_and_options_are_told():
    with pytest.raises(InputError, match="unknown metric 'fiou': choose one of fwiou, "):
        FormulaMetric("fiou", 3)
    with pytest.raises(InputError, match="unknown metric 'bf': choose one of bf1, "):
        segmentation_metrics(3, metrics=["miou", "bf"])
    with pytest.raises(InputError, match=r"BoundaryF1: .*`width`.* 'bf1' has the options tolerance"):
        metrics.BoundaryF1(3, width=3)
    with pytest.raises(InputError, match=r"MeanIoU: .*`width`.* 'miou' has the options \(none\)"):
        metrics.MeanIoU(4, width=5)
    with pytest.raises(InputError, match="width must be"):
        metrics.BoundaryIoU(3, width=-3)
    for width in ("5", None, True, float("nan")):
        with pytest.raises(InputError, match=r"width must be .* got"):
            metrics.BoundaryIoU(3, width=width)


@pytest.mark.parametrize("num_classes", [None, -3, 0, 4.0, "4", True])
def test_a_number_of_classes_that_is_none_is_told(num_classes):
    for make in (metrics.MeanIoU, segmentation_metrics):
        with pytest.raises(InputError, match=f"num_classes: expected an integer of 2 or more, got {num_classes!r}"):
            make(num_classes)


def test_one_class_is_told_to_be_two():
    for make in (metrics.MeanIoU, segmentation_metrics):
        with pytest.raises(
            InputError, match=r"2 or more, got 1: a single foreground is task=\"binary\"; .* make two channels"
        ):
            make(1)


@pytest.mark.parametrize("ignore_index", ["a", "255", 1.5, 255.0, True])
def test_a_label_to_ignore_that_is_none_is_told(ignore_index):
    for make in (metrics.MeanIoU, segmentation_metrics):
        with pytest.raises(InputError, match=f"ignore_index: expected an integer, .* got {ignore_index!r}"):
            make(3, ignore_index)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.uint16, torch.int32, torch.uint32, torch.uint64], ids=str
)
@pytest.mark.parametrize("name", ["miou", "biou", "bf1"])
def test_integers_of_any_type_give_the_same(name, dtype):
    preds, labels = torch.randint(3, (2, 2, 9, 9), generator=torch.Generator().manual_seed(0))
    labels[:, :2] = 100
    expected = FormulaMetric(name, 3, ignore_index=100)(preds, labels)
    for given in ((preds.to(dtype), labels), (preds, labels.to(dtype)), (preds.to(dtype), labels.to(dtype))):
        assert FormulaMetric(name, 3, ignore_index=100)(*given) == expected


def test_two_metrics_of_one_name_are_told():
    with pytest.raises(InputError, match="metrics: two are named biou"):
        segmentation_metrics(4, metrics=["biou", "miou", formulas.BoundaryIoU(width=2)])


@pytest.mark.parametrize("per_class", [False, True])
def test_a_metric_can_be_plotted(per_class):
    matplotlib.use("Agg")
    metric = metrics.MeanIoU(3, per_class=per_class)
    metric.update(LABELS, LABELS)
    figure, axes = metric.plot()
    assert axes.get_ylim() == pytest.approx((-0.1, 1.1), abs=0.2)
    pyplot.close(figure)
