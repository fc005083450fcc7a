"""A training that is killed again and again ends as an undisturbed one."""

import re
import signal
import time

import pytest
from conftest import start
from kills import OFTEN, SETTINGS, Killed

from autosegloss.training.resuming import checkpoint_paths


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["best", "ddp"])  # `make kills` has them all
def test_a_training_that_is_killed_at_random_moments_ends_the_same(tmp_path, settings):
    killed = Killed(tmp_path / settings, settings, steps=100, seed=1)
    assert killed.run(kills=1), killed.complaints
    assert killed.kills.total() >= 1


@pytest.mark.slow
def test_sigterm_ends_processes_that_train_together_with_a_checkpoint(tmp_path):
    """It goes to the program that has started them, as from a batch script."""
    arguments = [*OFTEN, "trainer.max_steps=300", "checkpoint.every_n_steps=null", *SETTINGS["ddp"]]
    process = start("train", tmp_path, *arguments, "hydra.run.dir=run")
    try:
        log, deadline = tmp_path / "run/log/metrics.csv", time.monotonic() + 90
        while not log.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=40)[1]
    finally:
        process.kill()
    line = r"interrupted after (\d+) of 300 steps; the weights are kept in \S+; go on with: python train.py resume=run"
    step = re.fullmatch(line, errors.strip().splitlines()[-1])[1]
    assert [path.name for path in checkpoint_paths(tmp_path / "run")] == [f"step_{step}.ckpt"]
    assert (tmp_path / "run/weights.pt").exists()
