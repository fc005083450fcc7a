"""A foreground (task=binary) from the configuration to the files."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.spots import write_spots
from helpers.trained_runs import OWN, trained, write_trained
from omegaconf import OmegaConf
from PIL import Image

from autosegloss import ThetaCard
from autosegloss.cli import data as check_program
from autosegloss.cli import evaluate, export, predict
from autosegloss.data import SegmentationData
from autosegloss.data.datasets.folder import Folder
from autosegloss.errors import InputError
from autosegloss.formulas import MeanIoU
from autosegloss.ranking import load_evidence
from autosegloss.tasks.binary import Binary
from autosegloss.training.module import logits_of
from autosegloss.training.outcome import Result
from autosegloss.training.run import make_module
from autosegloss.training.trained import TrainedRun

ON_THE_CPU = ["trainer.accelerator=cpu", 'hydra.sweeper.comparison_common=["data.holdout=null","trainer.max_steps=8"]']
SPOTS = ["task=binary", "data=folder", *OWN]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("spots"))


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    settings = ["loss=searched_miou", "network.decoder_channels=16", f"data.root={root}"]
    return trained(tmp_path_factory.mktemp("binary") / "run", *SPOTS, *settings, channels=1)


def config_of(run: Path, **values):
    config = OmegaConf.load(run / ".hydra/config.yaml")
    for key, value in values.items():
        config[key] = value
    return config


def foreground_iou(run: Path, threshold: float) -> float:
    """The IoU of the foreground over the validation images, by hand."""
    one = TrainedRun.of(run)
    network, both, either = one.network(2, 3), 0, 0
    for images, labels in next(iter(one.data().val_dataloader())):
        with torch.no_grad():
            found = logits_of(network, images).sigmoid()[:, 0] > threshold
        both += int((found & (labels == 1)).sum())
        either += int((found | (labels == 1)).sum())
    return both / either


def test_a_training_learns_the_foreground_and_is_scored_by_it_alone(run):
    result = Result.load(run)
    assert result.task == "binary"
    assert result.scores["miou"] == pytest.approx(foreground_iou(run, 0.5), abs=1e-6)
    assert result.scores["miou"] > 0.5


def test_the_evidence_has_the_score(run):
    evidence = load_evidence(run)["val"]
    assert evidence.truth.shape == (4, 1)
    assert evidence.score(MeanIoU()) == pytest.approx(Result.load(run).scores["miou"], abs=1e-6)


def test_the_network_has_one_channel_for_the_sigmoid(run):
    module = make_module(config_of(run), TrainedRun.of(run).data())
    assert module.network(torch.zeros(2, 3, 32, 32)).shape == (2, 1, 32, 32)


def test_a_run_is_judged_with_a_row_for_the_foreground(run, tmp_path):
    evaluate.run([str(run), "bootstrap=20", f"out={tmp_path}"])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["class_names"] == ["foreground"]
    assert (scores["task"], scores["threshold"]) == ("binary", 0.5)
    found = {name: score["score"] for name, score in scores["scores"].items()}
    assert found == pytest.approx(Result.load(run).scores, abs=1e-6)
    assert (tmp_path / "confusion.csv").read_text().startswith("true \\ predicted,background,foreground\nbackground,")
    name, truth, predicted = (tmp_path / "classes.csv").read_text().splitlines()[1].split(",")[:3]
    assert name == "foreground"
    assert 0 < float(truth) < 0.5
    assert 0 < float(predicted) < 0.5


def test_the_threshold_of_an_evaluation(run, tmp_path):
    evaluate.run([str(run), "bootstrap=5", "threshold=0.9", f"out={tmp_path}"])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["threshold"] == 0.9
    assert scores["scores"]["miou"]["score"] == pytest.approx(foreground_iou(run, 0.9), abs=1e-6)
    assert foreground_iou(run, 0.9) != foreground_iou(run, 0.5)


def test_the_threshold_of_a_training(run):
    module = make_module(config_of(run, threshold=0.9), TrainedRun.of(run).data())
    assert module.task == Binary(threshold=0.9)
    assert module.val_metrics["miou"].task == Binary(threshold=0.9)


@pytest.mark.parametrize("threshold", ["0", "1", "high"])
def test_a_threshold_is_a_probability(run, tmp_path, threshold):
    with pytest.raises(InputError, match=r"threshold: expected a number in \(0, 1\)"):
        evaluate.run([str(run), f"threshold={threshold}", f"out={tmp_path}"])


def test_predicted_masks_are_0_and_1(run, root, tmp_path):
    predict.run([str(run), f"images={root}/val/images", f"out={tmp_path}", "overlay=true"])
    masks = [np.asarray(Image.open(tmp_path / f"{n}.png")) for n in range(4)]
    assert {*np.unique(masks)} == {0, 1}
    true = [np.asarray(Image.open(root / f"val/masks/{n}.png")) for n in range(4)]
    either, both = np.logical_or(masks, true).sum(), np.logical_and(masks, true).sum()
    assert both / either == pytest.approx(foreground_iou(run, 0.5), abs=1e-6)
    predict.run([str(run), f"images={root}/val/images", f"out={tmp_path}/sure", "threshold=0.9"])
    assert np.mean([np.asarray(Image.open(tmp_path / f"sure/{n}.png")) for n in range(4)]) < np.mean(masks)


def test_masks_of_0_and_255_are_read_and_predicted_by_their_table(root, tmp_path):
    white, table = write_spots(tmp_path / "white", foreground=255), "data.source.labels={0: 0, 255: 1}"
    settings = [*SPOTS, "network.decoder_channels=16", f"data.root={white}", table]
    run = write_trained(tmp_path / "run", *settings, classes=1, shapes=False)
    predict.run([str(run), f"images={white}/val/images", f"out={tmp_path}/masks", "values=true", "threshold=0.001"])
    assert {*np.unique(np.asarray(Image.open(tmp_path / "masks/0.png")))} <= {0, 255}
    counts = SegmentationData(Folder(white, task="binary", labels={0: 0, 255: 1}), None, 4).class_counts()
    assert torch.equal(counts, SegmentationData(Folder(root, task="binary"), None, 4).class_counts())


def test_masks_of_0_and_255_without_a_table_get_the_remedy(tmp_path, command):
    root = write_spots(tmp_path / "white", foreground=255)
    with pytest.raises(SystemExit, match=r"are of class 0 \(background\).*set 'data.source.labels={0: 0, 255: 1}'"):
        command("train", "task=binary", "data=folder", f"data.root={root}", "trainer.max_steps=2", tiny=False)


def test_masks_in_files_are_judged_by_their_foreground(run, root, tmp_path):
    predict.run([str(run), f"images={root}/val/images", f"out={tmp_path}/found"])
    where = [f"predictions={tmp_path}/found", f"truth={root}/val/masks", f"out={tmp_path}/page", "bootstrap=5"]
    evaluate.run([*where, "task=binary"])
    scores = json.loads((tmp_path / "page/scores.json").read_text())
    assert scores["class_names"] == ["foreground"]
    assert scores["scores"]["miou"]["score"] == pytest.approx(foreground_iou(run, 0.5), abs=1e-6)


@pytest.mark.slow
def test_an_export_tells_of_the_sigmoid(run, tmp_path, capsys):
    export.run([str(run), "format=torch", f"out={tmp_path}/model.pt2"])
    told = "logits float32 (N, 1, H, W); the foreground is predicted where their sigmoid is above 0.5"
    assert told in capsys.readouterr().out
    files = {"metadata.json": ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=files)
    assert json.loads(files["metadata.json"])["task"] == "binary"


def test_more_than_two_classes_are_refused_with_the_remedy(command, root, capsys):
    message = r"task=binary takes masks of two classes, background and one foreground, got 6 classes: say which"
    with pytest.raises(SystemExit, match=message):
        command("train", "task=binary")
    settings = ["task=binary", "data=folder", f"data.root={root}", "data.source.classes=3"]
    with pytest.raises(InputError, match=message.replace("6", "3")):
        check_program.run(["check", *settings])


def test_the_check_of_data_names_the_two_classes(root, tmp_path, capsys):
    check_program.run(["check", "task=binary", "data=folder", f"data.root={root}", f"out={tmp_path}/picture.png"])
    assert "note: mask values 0..1 are the classes background, foreground, 255 is ignored" in capsys.readouterr().out
    with pytest.raises(InputError, match="number of classes unknown"):
        check_program.run(["check", "data=folder", f"data.root={root}", f"out={tmp_path}/picture.png"])


def test_an_unknown_task_and_a_threshold_without_one_are_told(command):
    with pytest.raises(SystemExit, match="unknown task 'binry': choose one of binary"):
        command("train", "task=binry")
    with pytest.raises(SystemExit, match="task 'multiclass' has no option 'threshold'"):
        command("train", "threshold=0.4")


def test_decoding_for_iou_has_no_form_for_a_foreground(run, tmp_path):
    with pytest.raises(InputError, match="decode=rankseg has no form for task=binary"):
        evaluate.run([str(run), "decode=rankseg", f"out={tmp_path}"])


def test_a_theta_of_another_task_is_noted(command, root):
    settings = ["task=binary", "data=folder", f"data.root={root}", *OWN[:3], "trainer.max_steps=2"]
    note = "note: theta of miou was found for task=multiclass, and is taken as it is for task=binary"
    assert note in command("train", *settings, "loss=searched_miou", "network.decoder_channels=8", tiny=False)


def test_a_run_of_an_earlier_version_is_multiclass(tmp_path):
    run = write_trained(tmp_path / "run")
    config = config_of(run)
    del config.task
    OmegaConf.save(config, run / ".hydra/config.yaml")
    assert TrainedRun.of(run).task.name == "multiclass"


@pytest.mark.slow
def test_pictures_of_a_foreground_reach_tensorboard(command, root, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = ["task=binary", "data=folder", f"data.root={root}", *OWN[:3], "trainer.max_steps=2", "loss=naive"]
    shown = ["logger=tensorboard", "callbacks=pictures", "validate_every=1", "hydra.run.dir=run"]
    command("train", *settings, *shown, "network.decoder_channels=8", tiny=False)
    events = accumulator.EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert "predictions" in events.Tags()["images"]


@pytest.mark.slow
def test_a_search_of_a_foreground_is_one_command_and_ends_with_a_recommendation(command, root):
    tiny = ["data.size=null", "data.batch_size=4", "data.holdout=4", "trainer.max_steps=8", "hydra.sweeper.rungs=[4]"]
    tiny += ["hydra.sweeper.steps=1", "hydra.sweeper.samples=4", "hydra.sweeper.keep=2", "hydra.sweeper.final_seeds=1"]
    tiny += ["hydra.sweeper.finalists=1", "network.decoder_channels=8", "hydra.sweep.dir=found", *ON_THE_CPU]
    printed = command("search", "metric=dice", "data=folder", f"data.root={root}", "task=binary", *tiny, tiny=False)
    assert re.search(r"^Recommended: ", printed, flags=re.M)
    assert re.search(r"python train.py metric=dice .* task=binary ", printed)
    card = ThetaCard.load("found/theta.yaml")
    assert (card.task, card.metric.name) == ("binary", "dice")


# Real images


@pytest.mark.slow
@pytest.mark.parametrize("name", ["NUCLEI_ROOT", "CRACKS_ROOT"])
def test_a_real_foreground_is_learnt(name, tmp_path):
    if name not in os.environ:
        pytest.skip(f"set {name} to a folder of images and masks of 0 and 1 to run this")
    settings = ["task=binary", "data=folder", f"data.root={os.environ[name]}", "data.size=[64,64]", "loss=wce"]
    run = trained(tmp_path / "run", *settings, "network.decoder_channels=32", "trainer.max_steps=60", channels=1)
    share = TrainedRun.of(run).data().class_counts()[1] / TrainedRun.of(run).data().class_counts().sum()
    assert Result.load(run).scores["miou"] > share  # that of a network that finds foreground everywhere
