"""A training that is stopped and goes on ends as an undisturbed one does, bit for bit."""

import json
import random
import signal

import pytest
import torch
from conftest import TINY
from torch.testing import assert_close

from autosegloss.training.resuming import checkpoint_paths

STEPS = 14  # of 6 batches an epoch
OFTEN = [
    *TINY,
    f"trainer.max_steps={STEPS}",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "validate_every=4",
    "checkpoint.every_n_steps=3",
    "notes=false",
]


def breaks(step: int, marker: str = "broken") -> str:
    return f"trainer.callbacks=[{{_target_:helpers.acts.Break,step:{step},marker:{marker}}}]"


def left(folder) -> tuple[dict, bytes, dict]:
    """The result but for its times, the log and the weights of a run."""
    result = json.loads((folder / "result.json").read_text())
    kept = {name: value for name, value in result.items() if "seconds" not in name}
    return kept, (folder / "log/metrics.csv").read_bytes(), torch.load(folder / "weights.pt")


def assert_same(one, other) -> None:
    assert one[:2] == other[:2]
    assert_close(one[2], other[2], rtol=0, atol=0, equal_nan=True)


@pytest.fixture
def broken(command, tmp_path):
    """`broken(step, *overrides)`: an undisturbed run in `whole`, and one in `run` that ends with an error at `step`."""

    def run(step: int, *overrides: str, whole: bool = True) -> None:
        arguments = [*OFTEN, breaks(step), *overrides]
        if whole:
            (tmp_path / "broken").touch()
            command("train", *arguments, "hydra.run.dir=whole", tiny=False)
            (tmp_path / "broken").unlink()
        with pytest.raises(SystemExit, match="on purpose"):
            command("train", *arguments, "hydra.run.dir=run", tiny=False)

    return run


SETTINGS = {
    "plain": [],
    "accumulated": ["+trainer.accumulate_grad_batches=2"],
    "crop": ["data.size=null", "data.crop=[32,32]", "data.source.size=48"],
    "best": ["monitor=miou", "checkpoint.keep_best=2"],
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_training_that_goes_on_ends_as_an_undisturbed_one(command, broken, tmp_path, settings):
    step = random.randrange(4, STEPS)  # a step after which there is a checkpoint
    broken(step, *SETTINGS[settings])
    assert checkpoint_paths(tmp_path / "run")
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))
    assert not checkpoint_paths(tmp_path / "run")


@pytest.mark.parametrize("step", [7, 13])
def test_a_training_goes_on_at_the_beginning_of_an_epoch(command, broken, tmp_path, step):
    broken(step)
    assert checkpoint_paths(tmp_path / "run")[0].name == f"step_{step - 1}.ckpt"
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))


def test_a_training_without_a_checkpoint_begins_again(command, broken, tmp_path):
    broken(2)
    assert not checkpoint_paths(tmp_path / "run")
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["data.num_workers=2"], ["trainer=ddp", "trainer.devices=2"]], ids=["workers", "ddp"]
)
@pytest.mark.parametrize("step", [5, 7])
def test_workers_and_processes_that_train_together_go_on(command, broken, tmp_path, overrides, step):
    broken(step, *overrides)
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))


def test_a_damaged_checkpoint_is_left_out_and_the_one_before_taken(command, broken, tmp_path, capsys):
    broken(10)
    newest, before = checkpoint_paths(tmp_path / "run")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # torch would not notice
    newest.write_bytes(content)
    capsys.readouterr()
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))
    assert before.name == "step_6.ckpt"


def test_what_is_damaged_is_told_in_a_line_each(broken, command, tmp_path, capsys):
    broken(10, whole=False)
    for path in checkpoint_paths(tmp_path / "run"):
        path.write_bytes(path.read_bytes()[:1000])
    from autosegloss.training.checkpoint_files import read_newest

    assert read_newest(tmp_path / "run") is None
    told = capsys.readouterr().err.splitlines()
    assert told[-3].startswith("note: run/checkpoints/step_9.ckpt is damaged (File is not a zip file)")
    assert told[-2].startswith("note: run/checkpoints/step_6.ckpt is damaged (")
    assert told[-1] == "note: no checkpoint in run can be read: the training begins again"


@pytest.mark.parametrize("moment", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_of_a_cluster_save_a_checkpoint(command, tmp_path, moment):
    common = [*OFTEN, "checkpoint.every_n_steps=null", breaks(5), "hydra.run.dir=run"]
    callbacks = f"trainer.callbacks=[{{_target_:helpers.acts.Signal,name:{moment.name}}}]"
    command(
        "train",
        *common,
        "trainer.callbacks=[{_target_:helpers.acts.Signal,name:SIGUSR2}]",
        "hydra.run.dir=whole",
        tiny=False,
    )
    if moment == signal.SIGTERM:
        line = r"^interrupted after 1 of 14 steps; the weights are kept in \S+; go on with: python train.py resume=run$"
        with pytest.raises(SystemExit, match=line):
            command("train", *common, callbacks, tiny=False)
    else:
        callbacks = f"{callbacks[:-1]},{breaks(5).partition('[')[2]}"
        with pytest.raises(SystemExit, match=r"on purpose; go on with: python train.py resume=run$"):
            command("train", *common, callbacks, tiny=False)
    assert [path.name for path in checkpoint_paths(tmp_path / "run")] == ["step_1.ckpt"]
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), left(tmp_path / "whole"))
