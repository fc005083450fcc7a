"""The settings of a training, each on a tiny run against what it must do, reckoned by hand."""

import pytest
import torch
from conftest import TINY
from helpers.members import CONF, slow
from helpers.recorder import Recorder
from hydra import compose, initialize_config_dir
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader

from autosegloss.metrics import segmentation_metrics
from autosegloss.training.advice import notes
from autosegloss.training.module import SegmentationModule
from autosegloss.training.outcome import Failure, Result
from autosegloss.training.run import make_loss, run
from autosegloss.training.trainer import tamed_lightning

RECORD = ["+callbacks.recorder={_target_: helpers.recorder.Recorder}", "logger=none", "loss=cross_entropy"]
PER_EPOCH = 6  # batches of 4 of 24 images


def composed(overrides: list[str]):
    """The config that a training gets: without Hydra's own part."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides)


def trained(folder, *overrides: str) -> Recorder:
    quiet = ["trainer.enable_progress_bar=false", "threads=1", "notes=false"]
    outcome = run(composed([*TINY, *RECORD, *quiet, *overrides]), folder)
    assert isinstance(outcome, Result), outcome
    return Recorder.last


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def part(state, name: str):
    return {key: value for key, value in state.items() if key.startswith(name)}


@pytest.mark.parametrize(("batches", "steps"), [(1, 2 * PER_EPOCH), (4, 2 * 2)])
def test_epochs_take_the_place_of_steps_and_the_schedule_knows(tmp_path, batches, steps):
    """An epoch of 6 batches has 2 steps of 4 and of 2."""
    seen = trained(tmp_path, "trainer.max_epochs=2", f"trainer.accumulate_grad_batches={batches}")
    assert (seen.trainer.global_step, seen.trainer.current_epoch) == (steps, 2)
    assert len(seen.rates) == 2 * PER_EPOCH
    assert_close(seen.rates[-1][0], 0.0)  # the schedule ends with the last step


def test_steps_are_counted_in_epochs_too_for_the_bar(tmp_path):
    seen = trained(tmp_path, f"trainer.max_steps={PER_EPOCH + 1}")
    assert (seen.trainer.global_step, seen.trainer.max_epochs) == (PER_EPOCH + 1, 2)


def test_the_moving_average_is_validated_and_is_the_result(tmp_path):
    seen = trained(tmp_path, "trainer.max_steps=4", "validate_every=2", "ema=0.75")
    average, after_two = None, None
    for step, weights in enumerate(seen.weights[1:]):
        old = weights if average is None else average
        floats = [name for name in weights if weights[name].is_floating_point()]
        average = {name: torch.lerp(weights[name], old[name], 0.75) for name in floats}
        after_two = average if step == 1 else after_two
    saved = torch.load(tmp_path / "weights.pt")
    for found, expected in ((saved, average), (seen.validated[0], after_two), (seen.validated[-1], average)):
        assert_close({name: found[name] for name in expected}, expected)
    assert not same(saved, seen.weights[-1])


def test_a_frozen_encoder_keeps_weights_and_statistics_and_learns_afterwards(tmp_path):
    begin, *after = trained(tmp_path, "trainer.max_steps=4", "freeze_encoder=2").weights
    assert [same(part(begin, "encoder."), part(state, "encoder.")) for state in after] == [True, True, False, False]
    assert not same(part(begin, "decoder."), part(after[0], "decoder."))


def test_an_encoder_frozen_for_all_steps_never_learns(tmp_path):
    begin, *after = trained(tmp_path, "trainer.max_steps=3", "freeze_encoder=all").weights
    assert all(same(part(begin, "encoder."), part(state, "encoder.")) for state in after)
    assert not same(part(begin, "segmentation_head."), part(after[-1], "segmentation_head."))


def test_a_training_without_progress_stops_early(tmp_path):
    still = ["optimizer.lr=1e-30", "optimizer.min_lr=0", "validate_every=1", "ema=0.999"]
    seen = trained(tmp_path, "trainer.max_steps=20", "early_stopping=2", *still, "data.augment.flip=0")
    assert seen.trainer.global_step < 20


@pytest.mark.parametrize("switch_at", ["0.5", *slow([("2",)])])
def test_the_loss_switches_at_its_step(tmp_path, switch_at):
    seen = trained(tmp_path, "loss=schedule", f"loss.switch_at={switch_at}", "trainer.max_steps=4")
    assert seen.losses == ["CrossEntropy", "CrossEntropy", "SurrogateLoss", "SurrogateLoss"]


class Pixelwise(nn.Module):
    """A network without batch normalisation."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 2, 1)

    def forward(self, images):
        return self.head(images)


class Linear(nn.Module):
    """A loss that is the mean of the losses of its images."""

    def forward(self, logits, labels):
        return (logits[:, 0] - logits[:, 1]).mean()


def test_accumulated_gradients_of_a_linear_loss_are_those_of_the_large_batch():
    import pytorch_lightning as pl

    torch.manual_seed(0)
    images, labels, first = torch.randn(4, 3, 32, 32), torch.zeros(4, 32, 32, dtype=torch.long), Pixelwise()
    after = []
    for size in (2, 4):
        network = Pixelwise()
        network.load_state_dict(first.state_dict())

        def sgd(network, max_steps):
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
            return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

        module = SegmentationModule(network, Linear(), segmentation_metrics(2), sgd)
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
        with tamed_lightning():
            trainer = pl.Trainer(max_steps=1, accumulate_grad_batches=4 // size, enable_model_summary=False, **quiet)
            trainer.fit(module, DataLoader(list(zip(images, labels, strict=True)), batch_size=size))
        after.append(network.state_dict())
    assert_close(after[0], after[1])
    assert not same(after[0], first.state_dict())


@pytest.mark.parametrize(
    ("loss", "told"),
    [("searched_miou", 1), ("cross_entropy", 0), *slow([("dice", 1), ("lovasz", 1), ("schedule", 1)])],
)
def test_accumulation_is_noted_for_losses_of_a_batch(loss, told):

    cfg = composed([f"loss={loss}", "trainer.accumulate_grad_batches=4"])
    module = SegmentationModule(Pixelwise(), make_loss(cfg, 255), segmentation_metrics(2), None)
    found = list(notes(cfg, module))
    assert len(found) == told
    assert all("4 losses of 8 images each, which is not the loss of 32 images" in note for note in found)


def test_a_multiplier_of_a_head_is_noted_for_a_network_without_an_encoder():
    cfg = composed(["optimizer=sgd"])
    (note,) = notes(cfg, SegmentationModule(Pixelwise(), Linear(), segmentation_metrics(2), None))
    assert note == "optimizer.head_multiplier=10 applies to nothing: the network has no encoder"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ema=1"], "ema must be a number between 0 and 1"),
        (["freeze_encoder=0"], "freeze_encoder must be a number of steps, all, or null, got 0"),
        (["early_stopping=5"], "early_stopping counts validations between steps, here are none: set validate_every"),
        (["early_stopping=yes"], "early_stopping must be a whole number of 1 or more, got 'yes'"),
        (["trainer.max_epochs=0"], "trainer.max_epochs must be a whole number of 1 or more, or null for steps, got 0"),
        (["callbacks=pictures"], "callbacks=pictures needs a logger that takes them: logger=tensorboard or"),
        (["loss=schedule", "loss.switch_at=1.5"], "loss.switch_at must be a whole number of steps, or a fraction"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line(tmp_path, overrides, message):
    outcome = run(composed([*TINY, "logger=none", "trainer.enable_progress_bar=false", *overrides]), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "mistake"
    assert outcome.message.startswith(message)


def test_a_logger_that_is_not_installed_is_one_line(command, monkeypatch):
    monkeypatch.setattr("autosegloss.training.loggers.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"error: logger=tensorboard needs tensorboard, .*\[tensorboard\]"):
        command("train", "logger=tensorboard", "hydra.run.dir=run")


def test_pictures_reach_tensorboard(command, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    command("train", "logger=tensorboard", "callbacks=pictures", "validate_every=1", "hydra.run.dir=run")
    events = accumulator.EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert {"predictions", "curves of miou"} <= {*events.Tags()["images"]}
    assert "val/miou" in events.Tags()["scalars"]
    assert (tmp_path / "run/log/metrics.csv").exists()
