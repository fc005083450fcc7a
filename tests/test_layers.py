"""Several classes a pixel in files: read, predicted, judged, and read again."""

import json
import re

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import ROOT
from helpers.spots import SpotsAndHalves, write_layers
from helpers.trained_runs import write_trained
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from autosegloss import InputError
from autosegloss.cli import data as data_program
from autosegloss.cli import evaluate, export, figure, predict
from autosegloss.data import Folder
from autosegloss.data.datasets.layers import Layers, save_layers
from autosegloss.tasks.binary import Binary
from autosegloss.tasks.multilabel import Multilabel
from autosegloss.training.outcome import Result
from autosegloss.training.run import train


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_layers(tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("multilabel") / "run"
    settings = ["task=multilabel", "data=folder", f"data.root={root}", "data.size=null", "data.batch_size=4"]
    aside = ["notes=false", "logger=none", "trainer.enable_progress_bar=false", "loss=cross_entropy"]
    of_network = ["network.decoder_channels=16", "trainer.max_steps=8"]
    write_trained(folder, *settings, *aside, *of_network, classes=2, shapes=False)
    train(OmegaConf.load(folder / ".hydra/config.yaml"), folder)
    return folder


def test_a_folder_of_masks_with_bands_is_the_data_set(root):
    folder, expected = Folder(root, task="multilabel"), SpotsAndHalves()
    assert folder.class_names == expected.class_names
    for split in ("train", "val", "test"):
        pairs = zip(folder.samples(split), expected.samples(split), strict=True)
        for (image, label), (image2, label2) in ((a.load(), b.load()) for a, b in pairs):
            assert torch.equal(image, image2)
            assert torch.equal(label, label2)


def test_predicted_masks_are_judged_as_the_run_is(run, root, tmp_path):
    truth = root / "val" / "masks"
    predict.run([str(run), f"images={root}/val/images", f"out={tmp_path}/masks", "overlay=true"])
    with Image.open(tmp_path / "masks/0_overlay.jpg") as overlay:
        assert overlay.size == (32, 32)
    evaluate.run([str(run), f"other={run}", "bootstrap=5", f"out={tmp_path}/run"])
    files = [f"predictions={tmp_path}/masks", f"truth={truth}", "task=multilabel", "classes=[spot,left]"]
    evaluate.run([*files, "bootstrap=5", f"out={tmp_path}/files"])
    one, other = (json.loads((tmp_path / name / "scores.json").read_text()) for name in ("run", "files"))
    assert one["scores"]["miou"]["score"] == pytest.approx(Result.load(run).scores["miou"], abs=1e-6)
    assert one["class_scores"]["miou"] == pytest.approx(other["class_scores"]["miou"], abs=1e-9)
    assert one["differences"]["miou"]["difference"] == 0
    assert one["class_names"] == ["spot", "left"]
    assert one["calibration_error"] is not None
    assert not (tmp_path / "run/confusion.png").exists()
    shares = (tmp_path / "run/classes.csv").read_text().splitlines()[2].split(",")
    assert float(shares[1]) == pytest.approx((32 * 16 - 16) / (32 * 32 - 16))  # the corner does not count


def test_the_check_and_figures_show_all_classes_of_a_pixel(run, root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data_program.run(["check", "task=multilabel", "data=folder", f"data.root={root}"])
    shown = capsys.readouterr().out
    assert "fault:" not in shown
    assert re.search(r"1 │ left +│ +49.21 │ +100.00", shown)  # a corner does not count
    figure.run(["predictions", str(run), "zoom=16", "out=shown.png"])
    assert {path.name for path in tmp_path.iterdir()} == {"data_check.png", "shown.png"}


@pytest.mark.slow
def test_a_logger_takes_pictures_of_all_classes_of_a_pixel(command, root, tmp_path):
    settings = ["task=multilabel", "data=folder", f"data.root={root}", "data.size=null", "data.batch_size=4"]
    shown = ["logger=tensorboard", "callbacks=pictures", "trainer.max_steps=2", "loss=cross_entropy"]
    command("train", *settings, *shown, "network.decoder_channels=8", "hydra.run.dir=run", tiny=False)
    events = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert "predictions" in events.Tags()["images"]


@pytest.mark.slow
def test_an_export_scores_each_class(run, tmp_path):
    """The graph has a channel and a sigmoid for each class."""
    export.run([str(run), f"out={tmp_path}/network.onnx"])
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)})[:1]
    assert found.shape == (1, 2, 32, 32)


def test_a_threshold_for_each_class(run, root, tmp_path):
    out = tmp_path / "masks"
    predict.run([str(run), f"images={root}/val/images/0.png", f"out={out}", "threshold=[0.999,0.001]"])
    spot, left = Layers(2)(out / "0.tif")
    assert spot.sum() == 0
    assert left.all()
    with pytest.raises(InputError, match="threshold: expected one for each of 2 classes, got 3"):
        predict.run([str(run), f"images={root}/val/images/0.png", f"out={out}", "threshold=[0.1,0.2,0.3]"])


@pytest.mark.parametrize("task", [Multilabel, Binary])
@pytest.mark.parametrize("threshold", [[], [0.5, 1.0], "half", 0])
def test_a_threshold_that_is_none_is_told(task, threshold):
    with pytest.raises(InputError, match=r"threshold: expected a number in \(0, 1\)"):
        task(threshold)


def test_bands_of_pictures_and_of_one_class(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (3, 5, 6)).astype(np.uint8)
    values[:, 0, :2] = [[0, 1]] * 3
    Image.fromarray(values.transpose(1, 2, 0)).save(tmp_path / "rgb.png")
    Image.fromarray(values[0]).save(tmp_path / "grey.png")
    Image.fromarray(255 * values[0]).save(tmp_path / "white.png")
    save_layers(values[:1], tmp_path / "one.tif")
    assert np.array_equal(Layers(3)(tmp_path / "rgb.png"), values)
    for name, ignored in (("grey.png", 255), ("one.tif", 255), ("white.png", None)):
        assert np.array_equal(Layers(1, ignored)(tmp_path / name), values[:1])
    with pytest.raises(InputError, match=r"got \[0, 255\]: if all values but 0 mean the class"):
        Layers(1, 7)(tmp_path / "white.png")
    with pytest.raises(InputError, match="expected a band for each of 2 classes, got 3"):
        Layers(2)(tmp_path / "rgb.png")


def test_a_table_is_no_part_of_such_masks(root):
    with pytest.raises(InputError, match="task=multilabel takes masks of 0 and 1: leave them out"):
        Folder(root, labels={0: "spot", 255: "left"}, task="multilabel").class_names  # noqa: B018


def test_the_files_of_the_documents_are_labels(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/data.md").read_text(), flags=re.S)[-2:]
    for block in blocks:
        exec(block, space := {})
        for name in ("spot", "left"):
            Image.fromarray(np.array([[0, 255], [255, 255]], np.uint8)).save(tmp_path / f"{name}.png")
        paths = [tmp_path / "spot.png", tmp_path / "left.png"]
        if "join" in space:
            space["join"](paths, tmp_path / "both.tif")
            labels = Layers(2)(tmp_path / "both.tif")
        else:
            labels = space["load_layers"](paths[0], paths)[1]
        assert labels.tolist() == [[[0, 1], [1, 1]]] * 2
