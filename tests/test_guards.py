"""Callbacks: a training ends at a loss that is not finite, and batch normalisation spans all GPUs."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from autosegloss.errors import DivergedError, InputError
from autosegloss.training.callbacks import StopIfDiverged, SyncOnGPU


class LossesInTurn(pl.LightningModule):
    """Its loss at each step is the next of a list."""

    def __init__(self, losses):
        super().__init__()
        self.weight, self.losses, self.steps = nn.Parameter(torch.ones(())), losses, 0

    def training_step(self, batch):
        self.steps += 1
        return self.weight * 0 + self.losses[self.steps - 1]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(losses, tmp_path, **settings):
    module = LossesInTurn(losses)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=len(losses),
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[StopIfDiverged()],
        default_root_dir=tmp_path,
        **settings,
    )
    return module, lambda: trainer.fit(module, DataLoader([0.0] * 2, num_workers=0))


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_training_ends_at_the_first_loss_that_is_not_finite(tmp_path, wrong):
    module, train = fit([1.0, 0.5, wrong, 0.5, 0.5], tmp_path)
    with pytest.raises(DivergedError, match=f"the training diverged: its loss is {wrong} after 3 steps"):
        train()
    assert module.steps == 3


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
def test_a_training_whose_losses_are_finite_goes_on(tmp_path):
    module, train = fit([1.0, 1e30, -1.0, 0.0], tmp_path)
    train()
    assert module.steps == 4


def test_on_a_gpu_it_checks_some_losses_only():
    class OnGPU(SimpleNamespace):
        device, looks = torch.device("cuda"), 0

        def isfinite(self):
            self.looks += 1
            return True

    loss, guard = OnGPU(), StopIfDiverged(every_n_steps=4)
    for step in range(1, 13):
        guard.on_train_batch_end(SimpleNamespace(global_step=step), None, {"loss": loss}, None, 0)
    assert loss.looks == 3


@pytest.mark.parametrize("wrong", [0, -1, 1.5, None])
def test_a_number_of_steps_that_is_not_positive_is_refused(wrong):
    with pytest.raises(InputError, match="every_n_steps"):
        StopIfDiverged(every_n_steps=wrong)


@pytest.mark.parametrize(("device", "expected"), [("cpu", nn.BatchNorm2d), ("cuda", nn.SyncBatchNorm)])
def test_batches_are_normalised_over_all_gpus_and_each_by_itself_on_cpus(device, expected):
    model = pl.LightningModule()
    model.network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))
    converted = SyncOnGPU().apply(model).network
    assert type(converted[1]) is expected
    assert type(converted[0]) is nn.Conv2d
