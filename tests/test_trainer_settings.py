"""Arguments of Lightning's Trainer on the command line: each works, or is one line."""

import csv
import json

import pytest
from helpers.members import slow

QUIET = ["trainer.enable_progress_bar=false", "hydra.run.dir=run"]
SANITY = ["trainer.num_sanity_val_steps=2", "trainer.check_val_every_n_epoch=1", "validate_every=1"]
NOTHING = ["trainer.plugins=null", "trainer.callbacks=null", "trainer.logger=false"]


def validated_at(path) -> list[int]:
    """The steps before which the network was validated, as the log counts them."""
    with path.open() as file:
        return [int(row["step"]) + 1 for row in csv.DictReader(file) if row["val/miou"]]


@pytest.mark.parametrize("batches", [4, *slow([(1,), (2,)])])
def test_validate_every_counts_steps_however_many_batches_one_takes(command, tmp_path, batches):
    """An epoch of 6 batches has 2 steps of 4 and of 2; the last entry is the validation at the end of the run."""
    steps = ["trainer.max_steps=5", "validate_every=2", f"trainer.accumulate_grad_batches={batches}"]
    command("train", *QUIET, *steps)
    assert validated_at(tmp_path / "run/log/metrics.csv")[:2] == [2, 4]
    assert len(validated_at(tmp_path / "run/log/metrics.csv")) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["+trainer.fast_dev_run=true"],
        [
            "trainer.precision=64-true",
            "loss=cross_entropy",
            "trainer.log_every_n_steps=0",
            "+trainer.max_time=00:00:10:00",
        ],
        ["trainer.precision=bf16-mixed", *SANITY, "trainer.enable_checkpointing=true", "+trainer.limit_test_batches=0"],
        ["trainer.precision=bf16-true", "+trainer.limit_val_batches=1", "+trainer.limit_train_batches=0.5"],
        ["trainer.gradient_clip_val=0.1", "+trainer.detect_anomaly=true", *NOTHING],
    ],
    ids=" ".join,
)
def test_arguments_of_the_trainer_work(command, tmp_path, arguments):
    command("train", *QUIET, *arguments)
    assert 0 <= json.loads((tmp_path / "run/result.json").read_text())["scores"]["miou"] <= 1


OTHERS = [
    ("+trainer.limit_train_batches=0", "trainer.limit_train_batches=0 leaves nothing to train on"),
    ("trainer.val_check_interval=1", "trainer.val_check_interval=1 counts batches: set validate_every=STEPS"),
    ("+trainer.limit_val_batches=0.0", "trainer.limit_val_batches=0.0 leaves nothing to judge the run by"),
    ("test=true +trainer.limit_test_batches=0", "trainer.limit_test_batches=0 leaves nothing to test on"),
    ("+trainer.limit_val_batches=0.1", "trainer: You requested to check 0.1 of the `val_dataloader`"),
    ("trainer.accumulate_grad_batches=two", "trainer.accumulate_grad_batches must be a whole number of 1 or more"),
    ("trainer.log_every_n_steps=often", "trainer.log_every_n_steps must be a whole number of 0 or more"),
    ("trainer.accelerator=mps", "trainer: `MPSAccelerator` can not run on your system"),
]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("+trainer.overfit_batches=1", "trainer.overfit_batches would take images out of the hold-out, too: .*holdout"),
        ("+trainer.limit_val_batches=0", "trainer.limit_val_batches=0 leaves nothing to judge the run by"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must be a whole number of 1 or more"),
        ("trainer.gradient_clip_val=much", "trainer: `gradient_clip_val` should be an int or a float"),
        *slow(OTHERS),
    ],
)
def test_an_argument_that_cannot_work_is_one_line(command, tmp_path, argument, message, capsys):
    with pytest.raises(SystemExit, match=f"^error: {message}") as ended:
        command("train", *QUIET, *argument.split())
    assert "\n" not in str(ended.value)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "run/result.json").exists()
