"""A training that is stopped and goes on ends as an undisturbed one does, bit for bit."""

import json
import os
import signal

import pytest
import torch
from conftest import ROOT, SEARCH, TINY
from torch.testing import assert_close

from autosegloss.training.outcome import Result
from autosegloss.training.resuming import checkpoint_paths

STEPS = 11  # of 6 batches an epoch
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


@pytest.fixture(scope="module")
def wholes():
    """{overrides: what a training with them has left}"""
    return {}


@pytest.fixture
def whole(command, tmp_path, wholes):
    """`whole(*overrides)`: what an undisturbed training leaves; the tests share it."""

    def run(*overrides: str) -> tuple[dict, bytes, dict]:
        if overrides not in wholes:
            command("train", *OFTEN, *overrides, "hydra.run.dir=whole", tiny=False)
            wholes[overrides] = left(tmp_path / "whole")
        return wholes[overrides]

    return run


@pytest.fixture
def broken(command):
    """`broken(step, *overrides)`: a training in `run` that ends with an error at `step`."""

    def run(step: int, *overrides: str) -> None:
        with pytest.raises(SystemExit, match="on purpose"):
            command("train", *OFTEN, breaks(step), *overrides, "hydra.run.dir=run", tiny=False)

    return run


SETTINGS = ["ema=0.9", "freeze_encoder=4", "loss=schedule", "loss.switch_at=5", "schedule=cosine", "schedule.warmup=5"]
CASES = [
    pytest.param(5, [], id="plain", marks=pytest.mark.slow),
    pytest.param(10, [*SETTINGS, "monitor=miou", "checkpoint.keep_best=2", "early_stopping=9"], id="settings"),
    pytest.param(4, ["optimizer=adamw", "schedule=onecycle", "ema=0.9"], id="adamw", marks=pytest.mark.slow),
    pytest.param(8, ["trainer.accumulate_grad_batches=2"], id="accumulated", marks=pytest.mark.slow),
    pytest.param(9, ["data.size=null", "data.crop=[32,32]", "data.source.size=48"], id="crop", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("step", "overrides"), CASES)
def test_a_training_that_goes_on_ends_as_an_undisturbed_one(command, whole, broken, tmp_path, step, overrides):
    broken(step, *overrides)
    assert checkpoint_paths(tmp_path / "run")
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), whole(*overrides))
    assert not checkpoint_paths(tmp_path / "run")


@pytest.mark.slow
def test_a_training_that_saves_no_more_checkpoints_goes_on_at_the_beginning_of_an_epoch(
    command, whole, broken, tmp_path
):
    broken(7)  # the network has dropout
    assert checkpoint_paths(tmp_path / "run")[0].name == "step_6.ckpt"
    command("train", "resume=run", "checkpoint.every_n_steps=null", "checkpoint.every_minutes=null", tiny=False)
    assert_same(left(tmp_path / "run"), whole())


@pytest.mark.slow
def test_a_training_without_a_checkpoint_begins_again(command, whole, broken, tmp_path):
    broken(2)
    assert not checkpoint_paths(tmp_path / "run")
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), whole())


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["data.num_workers=2"], ["trainer=ddp", "trainer.devices=2"]], ids=["workers", "ddp"]
)
@pytest.mark.parametrize("step", [5, 7])
def test_workers_and_processes_that_train_together_go_on(command, whole, broken, tmp_path, overrides, step):
    broken(step, *overrides)
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), whole(*overrides))


def test_a_damaged_checkpoint_is_left_out_and_the_one_before_taken(command, whole, broken, tmp_path, capsys):
    broken(10)
    newest, before = checkpoint_paths(tmp_path / "run")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # torch would not notice
    newest.write_bytes(content)
    capsys.readouterr()
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), whole())
    assert before.name == "step_6.ckpt"


def test_what_is_damaged_is_told_in_a_line_each(broken, command, tmp_path, capsys):
    broken(10)
    for path in checkpoint_paths(tmp_path / "run"):
        path.write_bytes(path.read_bytes()[:1000])
    from autosegloss.training.checkpoint_files import read_newest

    assert read_newest(tmp_path / "run") is None
    told = capsys.readouterr().err.splitlines()
    assert told[-3].startswith("note: run/checkpoints/step_9.ckpt is damaged (File is not a zip file)")
    assert told[-2].startswith("note: run/checkpoints/step_6.ckpt is damaged (")
    assert told[-1] == "note: no checkpoint in run can be read: the training begins again"


@pytest.mark.parametrize("moment", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_signals_of_a_cluster_save_a_checkpoint(command, whole, tmp_path, moment):
    common = [*OFTEN, "checkpoint.every_n_steps=null", breaks(5), "hydra.run.dir=run"]
    callbacks = f"trainer.callbacks=[{{_target_:helpers.acts.Signal,name:{moment.name}}}]"
    if moment == signal.SIGTERM:
        line = r"^interrupted after 1 of 11 steps; the weights are kept in \S+; go on with: python train.py resume=run$"
        with pytest.raises(SystemExit, match=line):
            command("train", *common, callbacks, tiny=False)
    else:
        callbacks = f"{callbacks[:-1]},{breaks(5).partition('[')[2]}"
        with pytest.raises(SystemExit, match=r"on purpose; go on with: python train.py resume=run$"):
            command("train", *common, callbacks, tiny=False)
    assert [path.name for path in checkpoint_paths(tmp_path / "run")] == ["step_1.ckpt"]
    command("train", "resume=run", tiny=False)
    assert_same(left(tmp_path / "run"), whole())


@pytest.mark.slow
def test_a_search_that_goes_on_finds_the_checkpoint_of_a_run_of_its_table(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"), prepend=os.pathsep)
    own = ["data.holdout=null", "trainer.max_steps=11", "checkpoint.every_n_steps=3"]
    table = [
        *SEARCH,
        "hydra.sweeper.steps=1",
        "hydra.sweeper.samples=1",
        "hydra.sweeper.comparison_seeds=[0]",
        "hydra.sweeper.comparison.identity=null",
        "hydra.sweeper.comparison.searched=null",
        "hydra.sweeper.max_retries=0",
    ]

    def search(folder: str) -> str:
        files = tmp_path / folder
        acts = (
            f"trainer.callbacks=[{{_target_:helpers.acts.Starts,file:{files}_starts}},"
            f"{{_target_:helpers.acts.Break,step:10,marker:{files}_broken}}]"
        )
        common = ",".join(f'"{override}"' for override in [*own, acts])
        return command("search", *table, f"hydra.sweeper.comparison_common=[{common}]", f"hydra.sweep.dir={folder}")

    def row(folder: str) -> dict:
        return Result.load(tmp_path / folder / "comparison/cross-entropy/seed_0").scores

    (tmp_path / "whole_broken").touch()
    search("whole")
    assert "Not every run of 'cross-entropy' finished" in search("killed")
    command("search", "resume=killed", tiny=False)
    assert row("killed") == row("whole")
    assert (tmp_path / "killed_starts").read_text().split() == ["0", "9"]
    assert not list((tmp_path / "killed").rglob("*.ckpt"))
