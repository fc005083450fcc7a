"""The sums of images that a run keeps: its scores follow from them, on the images held out and on the others."""

import pytest
import torch
from omegaconf import OmegaConf

from autosegloss.evaluation.decode import decoder
from autosegloss.evaluation.judging import network_predictions
from autosegloss.evaluation.measure import measure
from autosegloss.formulas import PAPER, resolve
from autosegloss.ranking import load_evidence
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.outcome import Result
from autosegloss.training.trained import TrainedRun

FORMULAS = [resolve(name) for name in PAPER]
TRAIN = [
    "data.holdout=9",
    "evidence=true",
    "test=true",
    "trainer.enable_progress_bar=false",
    "logger=none",
    "hydra.run.dir=run",
]


def scores(evidence) -> dict[str, float]:
    return {formula.name: evidence.score(formula) for formula in FORMULAS}


def test_a_run_keeps_the_sums_of_every_image_held_out_of_the_validation_split_and_of_the_test_split(command, tmp_path):
    command("train", *TRAIN)
    splits, result = load_evidence(tmp_path / "run"), Result.load(tmp_path / "run")
    assert {name: len(evidence.truth) for name, evidence in splits.items()} == {"holdout": 9, "val": 8, "test": 8}
    assert scores(splits["holdout"]) == pytest.approx(result.scores)
    assert scores(splits["test"]) == pytest.approx(result.test)
    run = TrainedRun.of(tmp_path / "run")
    OmegaConf.update(run.config, "data.holdout", None)
    data = run.data()
    network = run.network(data.num_classes, 3)
    images = network_predictions(network, data, "val", Multiclass(), decoder("argmax"), torch.device("cpu"))
    expected = measure(images, FORMULAS, data.class_names, data.ignore_index)
    assert scores(splits["val"]) == pytest.approx(expected.scores)
    torch.testing.assert_close(splits["val"].sums["bf1"], expected.sums["bf1"])


def test_evidence_changes_no_score_and_without_it_nothing_is_kept(command, tmp_path):
    command("train", *TRAIN)
    found = Result.load(tmp_path / "run").scores
    command("train", *TRAIN, "evidence=false")
    assert Result.load(tmp_path / "run").scores == found
    assert not (tmp_path / "run/evidence.npz").exists()


def test_without_a_hold_out_there_is_the_validation_split_alone(command, tmp_path):
    command("train", *TRAIN, "data.holdout=null", "test=false", "metric=miou+bf1")
    splits = load_evidence(tmp_path / "run")
    assert list(splits) == ["val"]
    target = resolve("miou+bf1")
    assert splits["val"].score(target) == pytest.approx(Result.load(tmp_path / "run").scores["miou+bf1"])


@pytest.mark.slow
def test_processes_that_train_together_keep_all_images(command, tmp_path):
    command("train", *TRAIN, "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
    splits, result = load_evidence(tmp_path / "run"), Result.load(tmp_path / "run")
    assert {name: len(evidence.truth) for name, evidence in splits.items()} == {"holdout": 9, "val": 8, "test": 8}
    assert scores(splits["holdout"]) == pytest.approx(result.scores)
    assert scores(splits["test"]) == pytest.approx(result.test)
