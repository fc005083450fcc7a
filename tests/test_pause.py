"""A training that pauses, and goes on in another folder, ends as an undisturbed one does, bit for bit."""

import csv

import pytest
from test_resume import OFTEN, SETTINGS, STEPS, assert_same, left

from autosegloss.training.outcome import Result
from autosegloss.training.resuming import checkpoint_paths

NO_OTHERS = "checkpoint.every_n_steps=null"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pauses", "overrides"),
    [
        pytest.param([6, 9], [*SETTINGS, "monitor=miou", NO_OTHERS], id="twice, once between epochs"),
        pytest.param([5], [], id="plain"),
        pytest.param([3], ["trainer.accumulate_grad_batches=2"], id="accumulated"),
    ],
)
def test_a_training_goes_on_from_a_pause_bit_for_bit(command, tmp_path, pauses, overrides):
    command("train", *OFTEN, *overrides, "hydra.run.dir=whole", tiny=False)
    begin = []
    for pause in pauses:
        ends = f"checkpoint.pause_at={pause}"
        command("train", *OFTEN, *overrides, *begin, ends, f"hydra.run.dir=at_{pause}", tiny=False)
        assert Result.load(tmp_path / f"at_{pause}").stopped == pause
        begin = [f"checkpoint.begin_with=at_{pause}"]
    before = {path: path.read_bytes() for path in (tmp_path / f"at_{pause}").rglob("*") if path.is_file()}
    command("train", *OFTEN, *overrides, *begin, "hydra.run.dir=last", tiny=False)
    assert_same(left(tmp_path / "last"), left(tmp_path / "whole"))
    assert checkpoint_paths(tmp_path / "last") == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("ema", [pytest.param("null", marks=pytest.mark.slow), "0.9"])
def test_the_scores_at_a_pause_are_those_of_the_validation_at_that_step(command, tmp_path, ema):
    overrides = [*OFTEN, f"ema={ema}", "checkpoint.pause_at=4"]
    command("train", *overrides, "hydra.run.dir=run", tiny=False)
    with (tmp_path / "run/log/metrics.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["val/miou"] and row["step"] == "3"]
    assert Result.load(tmp_path / "run").scores["miou"] == pytest.approx(float(row["val/miou"]), rel=1e-6)


@pytest.mark.slow
def test_a_pause_at_the_end_is_none(command, tmp_path):
    command("train", *OFTEN, f"checkpoint.pause_at={STEPS}", "hydra.run.dir=run", tiny=False)
    assert Result.load(tmp_path / "run").stopped is None
    assert checkpoint_paths(tmp_path / "run") == []


REFUSED = [
    (["checkpoint.begin_with=nowhere"], "error: checkpoint.begin_with=nowhere: expected the folder of a training"),
    (["checkpoint.begin_with=paused", "loss=dice"], "error: paused: the training was started with another conf"),
    (["checkpoint.pause_at=0"], "error: checkpoint.pause_at: expected an integer of 1 or more, got 0"),
]


def test_what_does_not_fit_is_refused(command):
    command("train", *OFTEN, "checkpoint.pause_at=2", "hydra.run.dir=paused", tiny=False)
    for overrides, message in REFUSED:
        with pytest.raises(SystemExit) as ended:
            command("train", *OFTEN, *overrides, "hydra.run.dir=run", tiny=False)
        assert str(ended.value).startswith(message)
