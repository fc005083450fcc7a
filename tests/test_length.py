"""What needs validations between steps is checked against the steps that a training has, given in steps or epochs."""

import pytest
from helpers.commands import composed
from omegaconf import OmegaConf
from test_checkpoints import SHORT, refused

from autosegloss.training.check import check_runs
from autosegloss.training.outcome import Failure, Planned, Result
from autosegloss.training.settings import check_validations

EPOCHS = [*(setting for setting in SHORT if "max_steps" not in setting), "hydra.run.dir=run"]  # of 6 steps


@pytest.mark.parametrize("setting", ["monitor=miou", "early_stopping=3"])
def test_epochs_without_a_validation_between_steps_are_refused(command, setting):
    message = refused(command, *EPOCHS, "trainer.max_epochs=2", "validate_every=100", setting)
    assert message.startswith(f"error: {setting.partition('=')[0]}")
    assert "12" in message


def test_epochs_with_validations_between_their_steps_choose_the_weights(command, tmp_path):
    every = ["trainer.max_epochs=1", "validate_every=3", "monitor=miou"]
    printed = command("train", *EPOCHS, *every, tiny=False)
    assert Result.load(tmp_path / "run").chosen_by == "miou"
    assert "the best by miou on the validation data" in printed


@pytest.mark.parametrize(("steps", "every", "valid"), [(600, 400, True), (300, 300, False), (-1, 300, True)])
def test_validations_lie_between_steps(steps, every, valid):
    cfg = OmegaConf.create({"monitor": "miou", "validate_every": every, "trainer": {"max_steps": steps}})
    if valid:
        check_validations(cfg)
    else:
        with pytest.raises(ValueError, match="lower than the 300 steps of the training"):
            check_validations(cfg)


@pytest.mark.parametrize(("devices", "valid"), [(1, True), (2, False)])
def test_the_check_before_a_search_counts_the_steps_of_epochs_too(devices, valid):
    """An epoch of 6 steps has 3 on each of two devices."""
    cfg = composed("train", [*EPOCHS[:-1], "trainer.max_epochs=1", "validate_every=3", "monitor=miou"])
    checked = check_runs({"finalists": Planned(cfg, devices, devices)})
    assert isinstance(checked, Failure) != valid
    if not valid:
        assert checked.message.startswith("finalists: monitor=miou chooses among several validations")


def test_weights_that_no_validation_has_chosen_are_not_called_the_best(command, tmp_path):
    fast = ["trainer.max_epochs=1", "validate_every=3", "monitor=miou", "+trainer.fast_dev_run=true"]
    printed = command("train", *EPOCHS, *fast, tiny=False)
    assert Result.load(tmp_path / "run").chosen_by is None
    assert "the best by" not in printed
    assert "weights of step 1, the last: no validation between steps has a score of miou" in printed
