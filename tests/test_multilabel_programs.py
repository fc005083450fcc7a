"""Several classes a pixel (task=multilabel) from the configuration to the files."""

import pytest
import torch
from helpers.spots import SpotsAndHalves
from helpers.trained_runs import OWN, trained

from autosegloss.data import SegmentationData
from autosegloss.formulas import MeanIoU
from autosegloss.metrics import FormulaMetric
from autosegloss.ranking import load_evidence
from autosegloss.training.module import logits_of
from autosegloss.training.outcome import Result
from autosegloss.training.trained import TrainedRun


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    settings = ["task=multilabel", *OWN, "loss=cross_entropy", "network.decoder_channels=16"]
    folder, source = tmp_path_factory.mktemp("multilabel") / "run", "helpers.spots.SpotsAndHalves"
    return trained(folder, *settings, channels=2, source=source)


def test_several_classes_a_pixel_are_learnt_and_scored(several):
    result, one = Result.load(several), TrainedRun.of(several)
    metric, network = FormulaMetric("miou", 2, task="multilabel"), one.network(2, 3)
    for images, labels in next(iter(one.data().val_dataloader())):
        assert labels.shape == (4, 2, 32, 32)
        with torch.no_grad():
            metric.update(logits_of(network, images), labels)
    assert result.task == "multilabel"
    assert result.scores["miou"] == pytest.approx(float(metric.compute()), abs=1e-6)
    assert load_evidence(several)["val"].score(MeanIoU()) == pytest.approx(result.scores["miou"], abs=1e-6)


@pytest.mark.parametrize("settings", [{"size": 20}, {"crop": 24}, {"size": (16, 20), "keep_aspect": True}])
def test_labels_of_several_classes_go_through_the_data_like_a_mask_each(settings):
    data = SegmentationData(SpotsAndHalves(), **{"size": None, **settings}, batch_size=4, seed=3)
    images, labels = next(iter(data.train_dataloader()))
    assert labels.shape == (4, 2, *images.shape[2:])
    assert {*labels.unique().tolist()} <= {0, 1, 255}
    ((judged, truth),) = next(iter(data.val_dataloader()))
    assert truth.shape[:2] == (4, 2)
    assert len(judged) == 4
    assert data.class_counts().shape == (2,)


def test_masks_with_one_class_a_pixel_are_no_labels_of_several(command):
    with pytest.raises(SystemExit, match=r"task=multilabel takes labels \(6, H, W\) of 0 and 1, .* got \(32, 32\)"):
        command("train", "task=multilabel")
