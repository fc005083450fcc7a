"""One training run, from the command line to its result, and the module and optimiser it is made of."""

import json

import pytest
import torch
from conftest import interrupt, start
from helpers.members import slow
from torch import nn
from torch.testing import assert_close

from autosegloss.errors import InputError
from autosegloss.formulas import PAPER
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.module import SegmentationModule
from autosegloss.training.networks import build_network


class TwoParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)

    def forward(self, x):
        assert all(side % 32 == 0 for side in x.shape[2:])
        return self.head(self.encoder(x))


def test_images_of_any_size_are_padded_for_the_network_and_cropped_back():
    module = SegmentationModule(TwoParts(), nn.CrossEntropyLoss(), segmentation_metrics(5), optimizer=None)
    images = torch.randn(2, 3, 33, 47)
    inner = module.network.head(module.network.encoder(images))
    assert_close(module(images), inner)


def test_an_encoder_that_does_not_exist_names_the_nearest():
    import segmentation_models_pytorch as smp

    with pytest.raises(InputError, match=r"unknown encoder 'resnet19': choose one of resnet1"):
        build_network(smp.Unet, classes=2, encoder_weights=None, encoder_name="resnet19")


def test_weights_that_cannot_be_fetched_say_so():
    def offline(**_):
        raise OSError("Name or service not known")

    with pytest.raises(
        InputError, match=r"'imagenet' of resnet50 cannot be had .*Name or service.*encoder_weights=null"
    ):
        build_network(offline, classes=2, encoder_weights="imagenet", encoder_name="resnet50")
    with pytest.raises(OSError, match="Name or service"):
        build_network(offline, classes=2, encoder_weights=None, encoder_name="resnet50")


def test_train_leaves_scores_weights_and_a_log(command, tmp_path):
    out = command("train", "hydra.run.dir=run", "test=true", "validate_every=1", "trainer.enable_progress_bar=false")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert set(result["scores"]) == set(result["test"]) == set(PAPER)
    assert f"miou {100 * result['scores']['miou']:.1f}" in out
    assert "test: gacc" in out
    assert (tmp_path / "run/weights.pt").exists()
    assert len((tmp_path / "run/log/metrics.csv").read_text().splitlines()) > 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores_and_weights_can_be_carried_on(command, tmp_path):
    quiet = ["trainer.enable_progress_bar=false", "loss=naive"]
    for run, extra in {"a": [], "b": [], "c": ["seed=1"], "d": ["init_weights=a/weights.pt"]}.items():
        command("train", f"hydra.run.dir={run}", *quiet, *extra)
    weights = {run: torch.load(tmp_path / run / "weights.pt") for run in "abcd"}
    scores = {run: json.loads((tmp_path / run / "result.json").read_text())["scores"] for run in "abcd"}
    assert scores["a"] == scores["b"]
    for name, value in weights["a"].items():
        assert_close(weights["b"][name], value, rtol=0, atol=0)
    assert any(not torch.equal(weights["c"][name], value) for name, value in weights["a"].items())
    assert any(not torch.equal(weights["d"][name], value) for name, value in weights["a"].items())


@pytest.mark.slow
def test_two_processes_train_together_alone_and_in_a_multirun(command, tmp_path):
    """Each run has a crew of its own making: the same seed gives the same weights both ways."""
    together = ["trainer=ddp", "trainer.devices=2", "trainer.enable_progress_bar=false", "seed=3"]
    out = command("train", *together, "loss=dice", "hydra.run.dir=alone")
    assert "validation: gacc" in out
    out = command("train", "hydra.mode=MULTIRUN", *together, "loss=dice,naive", "hydra.sweep.dir=many")
    assert out.count("validation: gacc") == 2
    weights = [torch.load(tmp_path / run / "weights.pt") for run in ("alone", "many/0", "many/1")]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
    assert any(not torch.equal(weights[2][name], value) for name, value in weights[0].items())
    assert all((tmp_path / run / "run.rank1.log").exists() for run in ("alone", "many/0", "many/1"))


@pytest.mark.slow
def test_an_interrupt_keeps_the_weights_and_says_so(tmp_path):
    plain = ["trainer.max_steps=100000", "trainer.enable_progress_bar=false", "hydra.run.dir=run"]
    process = start("train", tmp_path, *plain)
    errors = interrupt(process, when=(tmp_path / "run/log/metrics.csv").exists)
    assert process.returncode == 1
    assert "interrupted after" in errors
    assert "the weights are kept in" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "run/weights.pt").exists()


def test_data_without_a_test_split_are_trained_on_all_the_same(command, tmp_path):
    command("train", "data.source.test=0", "test=true", "hydra.run.dir=run", "trainer.enable_progress_bar=false")
    assert json.loads((tmp_path / "run/result.json").read_text())["test"] == {}


def test_data_that_cannot_be_validated_on_are_refused_before_training(command, tmp_path):
    with pytest.raises(SystemExit, match="error: the data have no 'val' split"):
        command("train", "data.source.val=0", "hydra.run.dir=run")
    assert not (tmp_path / "run/weights.pt").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["metric=miuo"], "error: unknown metric 'miuo': choose one of miou, "),
        (["loss=searched"], "error: loss.theta is not given: set loss.theta=VALUE"),
        (["trainer.max_steps=0"], "error: trainer.max_steps must be a whole number of 1 or more, got 0"),
        (["unheard_of=1"], "error: unknown key 'unheard_of': "),
        *slow(
            [
                (["curve=bezir"], "error: unknown curve 'bezir': choose one of bezier"),
                (["loss.theta=mio"], "error: unknown theta card 'mio': choose one of miou"),
                (["loss.theta=no/such/card.yaml"], "error: there is no theta card at no/such/card.yaml"),
                (["loss=surrogate", "theta=[0.5]"], "error: theta of 'miou' with curve 'bezier' is 12 numbers"),
                (["loss=surrogate", f"theta={[1.5] * 12}"], "error: theta must lie in \\[0, 1\\], got"),
                (["init_weights=missing.pt"], "error: init_weights=missing.pt cannot be loaded"),
                (["init_weights=file"], "error: init_weights=file cannot be loaded"),
                (["validate_every=0"], "error: validate_every must be a whole number of 1 or more, got 0"),
                (["seed=-1"], "error: seed must be a whole number of 0 or more, got -1"),
                (["threads=-2"], "error: threads must be a whole number of 1 or more, got -2"),
                (["data.batch_size=1"], "error: data.batch_size must be 2 or more"),
                (["trainer.precision=17"], "error: trainer: .*17"),
                (["data.batch_size=1000"], "error: 24 training samples do not fill one batch of 1000"),
                (["hydra.run.dir=file/run"], "error: the output folder cannot be written"),
            ]
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(command, tmp_path, overrides, message):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SystemExit, match=message) as ended:
        command("train", *overrides)
    assert "\n" not in str(ended.value)
