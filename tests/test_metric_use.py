"""Our metrics where those of torchmetrics go: collections, wrappers, plots, Lightning's log; the confusion matrix."""

import copy
import pickle
import warnings

import matplotlib as mpl
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.testing import assert_close
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.wrappers import ClasswiseWrapper, MetricTracker, Running

from autosegloss import InputError
from autosegloss.formulas import PAPER
from autosegloss.metrics import ConfusionMatrix, FormulaMetric, segmentation_metrics
from autosegloss.tasks.binary import Binary

NAMES = ["road", "sky", "tree"]


def batches(count=2):
    random = torch.Generator().manual_seed(0)
    for _ in range(count):
        logits, labels = torch.randn(2, 3, 8, 9, generator=random), torch.randint(3, (2, 8, 9), generator=random)
        yield logits, labels.masked_fill(torch.rand(labels.shape, generator=random) < 0.2, 255)


@pytest.fixture
def together():
    metrics = segmentation_metrics(3, confusion=True)
    for batch in batches():
        metrics(*batch)
    return metrics


def test_a_confusion_matrix_comes_with_the_metrics(together):
    theirs = MulticlassConfusionMatrix(3, ignore_index=255)
    for batch in batches():
        theirs.update(*batch)
    assert set(together.compute()) == {*PAPER, "confusion"}
    assert torch.equal(together.compute()["confusion"], theirs.compute())
    assert ["confusion"] in together.compute_groups.values()
    for other in (together.clone(prefix="val_"), copy.deepcopy(together), pickle.loads(pickle.dumps(together)).half()):
        assert_close([*other.compute().values()], [*together.compute().values()])
        other.reset()
        assert other["confusion"].confmat.sum() == 0
    half, whole = ConfusionMatrix(3), ConfusionMatrix(3, normalize="true")
    first, second = batches()
    half.update(first[0].half(), first[1])
    whole.update(*second)
    half.merge_state(whole)
    assert torch.equal(half.compute(), theirs.compute())
    assert_close(whole.compute().sum(1), torch.ones(3))


def test_confusion_of_the_other_tasks():
    logits, labels = torch.tensor([[[[-1.0, 0.2, 2.0, 3.0]]]]), torch.tensor([[[0, 0, 1, 1]]])
    valid = torch.tensor([[[True, True, True, False]]])
    for threshold, expected in ((0.5, [[1, 1], [0, 1]]), (0.6, [[2, 0], [0, 1]])):
        assert ConfusionMatrix(task=Binary(threshold))(logits, labels, valid).tolist() == expected
    probs = ConfusionMatrix(task="binary", from_logits=False)
    assert probs(logits.sigmoid(), labels).tolist() == [[1, 1], [0, 2]]
    metrics = segmentation_metrics(task="binary", metrics=["dice"], confusion=True, absent="one")
    assert metrics(logits, labels)["confusion"].tolist() == [[1, 1], [0, 2]]
    with pytest.raises(InputError, match="do not exclude each other"):
        segmentation_metrics(3, task="multilabel", confusion=True)


def test_confusions_of_other_settings_are_not_tied():
    """In the first batch no pixel is ignored, so that both have the same counts."""
    together = MetricCollection({"a": ConfusionMatrix(2, ignore_index=255), "b": ConfusionMatrix(2, ignore_index=1)})
    together.update(torch.zeros(1, 1, 4).long(), torch.zeros(1, 1, 4).long())
    together.update(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 1]]]))
    assert {name: int(value.sum()) for name, value in together.compute().items()} == {"a": 6, "b": 5}


def named(metric):
    return ClasswiseWrapper(FormulaMetric(metric, 3, per_class=True), NAMES, prefix=f"{metric}_")


def test_classes_get_names_by_the_wrapper_of_torchmetrics():
    metrics = MetricCollection({name: named(name) for name in ("miou", "bf1")}, prefix="val/")
    alone = FormulaMetric("miou", 3, per_class=True)
    for batch in batches():
        metrics.update(*batch)
        alone.update(*batch)
    values = metrics.compute()
    assert len(values) == 6
    assert_close([values[f"val/miou_{name}"] for name in NAMES], [*alone.compute()])


def test_plots(together):
    mpl.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib about many open figures
        assert len(together.plot()) == 7
        per_class = segmentation_metrics(3, per_class=True)["miou"]
        per_class.update(*next(batches()))
        for values in (None, per_class.compute(), [per_class.compute(), per_class.compute()]):
            _, axes = per_class.plot(values)
            assert axes.lines or axes.collections
        mpl.pyplot.close("all")


def test_tracked_and_running_values():
    tracker = MetricTracker(segmentation_metrics(3, metrics=["miou", "dice"]))
    running, last = Running(FormulaMetric("miou", 3), window=1), None
    for logits, labels in batches():
        tracker.increment()
        tracker.update(logits, labels)
        running.update(logits, labels)
        last = FormulaMetric("miou", 3)(logits, labels)
    best, step = tracker.best_metric(return_step=True)
    assert best["miou"] == tracker.compute_all()["miou"].max()
    assert step["dice"] in (0, 1)
    assert_close(running.compute(), last)


class Judged(LightningModule):
    """Logs a metric, a collection, and the scores of the classes; the images are the logits."""

    def __init__(self):
        super().__init__()
        self.iou, self.scores = FormulaMetric("miou", 3), segmentation_metrics(3, metrics=["miou", "bf1"])
        self.of_classes = named("dice")

    def validation_step(self, batch, _):
        self.iou.update(*batch)
        self.scores.update(*batch)
        self.of_classes.update(*batch)
        self.log("iou", self.iou)
        self.log_dict(self.scores)

    def on_validation_epoch_end(self):
        self.log_dict(self.of_classes.compute())
        self.of_classes.reset()


@pytest.mark.slow
def test_lightning_logs_the_value_of_all_batches(tmp_path):
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    judged = Judged()
    trainer = Trainer(default_root_dir=tmp_path, enable_model_summary=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the workers that a loader has not
        for _ in range(2):  # the second starts from nothing
            (logged,) = trainer.validate(judged, DataLoader([*batches()], batch_size=None), verbose=False)
    whole = segmentation_metrics(3, metrics=["miou", "bf1"])
    for batch in batches():
        whole.update(*batch)
    expected = {name: float(value) for name, value in whole.compute().items()}
    assert {name: logged[name] for name in expected} == pytest.approx(expected)
    assert logged["iou"] == pytest.approx(expected["miou"])
    assert {name for name in logged if name.startswith("dice")} == {f"dice_{name}" for name in NAMES}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (FormulaMetric("miou", 4), r"MeanIoU\(\), num_classes=3, .*, got \(MeanIoU\(\), num_classes=4, "),
        (FormulaMetric("bf1", 3), r"\(MeanIoU\(\), num_classes=3, .* got \(BoundaryF1\(.*, num_classes=3, "),
        (FormulaMetric("miou", 3, task="multilabel"), r"task=Multiclass\(\), .*task=Multilabel\("),
        (FormulaMetric("miou", 3, aggregate="image"), r"aggregate='batch'.*aggregate='image'"),
        (ConfusionMatrix(3), r"of the same sums, .*, got \(ConfusionMatrix"),
    ],
)
def test_metrics_of_other_sums_are_not_merged(other, told):
    metric = FormulaMetric("miou", 3)
    with pytest.raises(InputError, match=f"merge_state: expected .*{told}"):
        metric.merge_state(other)
    with pytest.raises(InputError, match=r"expected a ConfusionMatrix\(.*num_classes=2, .*, got "):
        ConfusionMatrix(2).merge_state(other)


def test_metrics_of_the_same_sums_are_merged():
    first, second, both = (FormulaMetric("miou", 3) for _ in range(3))
    for metric, batch in zip((first, second), batches(), strict=True):
        metric.update(*batch)
        both.update(*batch)
    first.merge_state(second)
    assert_close(first.compute(), both.compute())
