"""Folders of runs, put to use."""

import pytest
import torch
from helpers.trained_runs import write_trained
from omegaconf import OmegaConf

from autosegloss.errors import InputError
from autosegloss.training.trained import TrainedRun


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_trained(tmp_path_factory.mktemp("runs") / "run")


def test_the_network_has_the_weights_of_the_run_and_predicts(written):
    network = TrainedRun.of(written).network(6, 3)
    state = torch.load(written / "weights.pt")
    assert not network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_a_checkpoint_of_lightning_below_the_folder_is_a_run_too(written):
    state = {name: value + 1 for name, value in torch.load(written / "weights.pt").items()}
    checkpoint = {"state_dict": {**{f"network.{k}": v for k, v in state.items()}, "loss.weights": torch.ones(6)}}
    (written / "checkpoints").mkdir()
    torch.save(checkpoint, written / "checkpoints/last.ckpt")
    run = TrainedRun.of(written / "checkpoints/last.ckpt")
    assert run.folder == written
    assert all(torch.equal(value, state[name]) for name, value in run.network(6, 3).state_dict().items())


def test_pretrained_weights_are_not_fetched(written, tmp_path):
    run = write_trained(tmp_path / "run")
    config = OmegaConf.load(run / ".hydra/config.yaml")
    config.network.encoder_weights = "imagenet"  # this encoder has none: it would be an error
    OmegaConf.save(config, run / ".hydra/config.yaml")
    TrainedRun.of(run).network(6, 3)


def test_a_relative_root_is_looked_for_where_the_run_was_started(tmp_path, monkeypatch):
    run = write_trained(tmp_path / "run", "+data.root=there")
    assert TrainedRun.of(run).config.data.root == str(tmp_path / "there")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here/there").mkdir()
    assert TrainedRun.of(run).config.data.root == "there"


def test_classes_are_those_that_the_run_has_recorded(tmp_path):
    run = write_trained(tmp_path / "run")
    assert TrainedRun.of(run).classes() == ("background", "disc", "square", "ring", "cross", "wire")
    (run / "data.yaml").write_text("classes: [sky, road]\n")
    assert TrainedRun.of(run).classes() == ("sky", "road")


def test_what_is_no_run_is_told(tmp_path, written):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.pt").touch()
    damaged, unfinished = write_trained(tmp_path / "damaged"), write_trained(tmp_path / "unfinished")
    (damaged / "weights.pt").write_bytes(b"no weights")
    (unfinished / "weights.pt").unlink()
    for path, message in {
        "nowhere": "there is no run .*nowhere: give the folder",
        "empty": r"empty is no run: expected a folder of train.py, which holds \.hydra/config.yaml",
        "file.pt": r"file.pt is in no folder of a run",
        "unfinished": "unfinished has no weights.pt: train it with save_weights=true",
    }.items():
        with pytest.raises(InputError, match=message):
            TrainedRun.of(tmp_path / path)
    with pytest.raises(InputError, match=r"weights.pt cannot be loaded: "):
        TrainedRun.of(damaged).network(6, 3)
    with pytest.raises(InputError, match=r"with 5 classes and 3 bands, cannot be loaded into this network: "):
        TrainedRun.of(written).network(5, 3)
    (damaged / ".hydra/config.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"the settings in .*\.hydra cannot be read"):
        TrainedRun.of(damaged)
