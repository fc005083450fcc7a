"""Checkpoints of a training: what is written when, which weights are the result, and what is refused."""

import csv
import errno
import json
import shutil

import pytest
import torch
from helpers.members import slow
from test_resume import OFTEN, breaks
from torch.testing import assert_close

from autosegloss.data.samplers import ShardedRandomSampler
from autosegloss.data.transforms import Augment
from autosegloss.files import whole_file
from autosegloss.training import checkpoint_files
from autosegloss.training.checkpoint_files import OURS, discard_drafts
from autosegloss.training.outcome import Result
from autosegloss.training.resuming import checkpoint_paths

SHORT = [*OFTEN, "trainer.max_steps=8", "validate_every=2"]
STOP = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/miou,mode:max,patience:1,min_delta:1}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("begun") / "run"


@pytest.fixture
def begun(command, tmp_path, kept):
    """A training in `run` that has ended with an error after 7 steps; the tests share it, each has a copy."""
    if not kept.exists():
        with pytest.raises(SystemExit, match=r"on purpose; go on with: python train.py resume=run$"):
            command("train", *SHORT, breaks(7), "hydra.run.dir=run", tiny=False)
        shutil.copytree(tmp_path / "run", kept)
    shutil.copytree(kept, tmp_path / "run", dirs_exist_ok=True)
    (tmp_path / "broken").touch()
    return tmp_path / "run"


def refused(command, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        command("train", *arguments, tiny=False)
    assert "\n" not in str(ended.value)
    return str(ended.value)


def test_another_configuration_is_refused_and_nothing_is_lost(command, begun):
    kept = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    message = refused(command, "resume=run", "loss=dice", "optimizer.lr=0.1")
    assert message.startswith("error: run: the training was started with another configuration: loss._target_ was ")
    assert "optimizer.lr was 0.01, is 0.1; leave these out, or start a new run" in message
    assert refused(command, "resume=run", "trainer.max_steps=9").startswith("error: run: the training was started with")
    assert {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()} == kept


@pytest.mark.slow
def test_a_configuration_edited_by_hand_does_not_go_with_the_checkpoint(command, begun):
    overrides = begun / ".hydra/hydra.yaml"
    overrides.write_text(overrides.read_text().replace("trainer.max_steps=8", "trainer.max_steps=9"))
    config = begun / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("max_steps: 8", "max_steps: 9"))
    assert "another configuration: trainer.max_steps was 8, is 9" in refused(command, "resume=run")
    assert [path.name for path in checkpoint_paths(begun)] == ["step_6.ckpt", "step_3.ckpt"]


@pytest.mark.slow
def test_settings_that_change_no_result_may_be_others(command, begun):
    command("train", "resume=run", "checkpoint.every_n_steps=1", "notes=true", "trainer.logger=false", tiny=False)
    assert Result.load(begun).step == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "step_6.ckpt was written by another version of autosegloss"),
        ({"random": [{}, {}]}, r"started with 2 device(s), got 1: set trainer.devices=2"),
    ],
)
def test_a_checkpoint_of_another_version_or_number_of_devices_is_refused(command, begun, change, message):
    newest = checkpoint_paths(begun)[0]
    content = torch.load(newest, weights_only=False)
    content[OURS] |= change
    torch.save(content, newest)
    assert message in refused(command, "resume=run")
    assert newest.exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("resume=none", "error: resume=none: there is no training in this folder"),
        ("resume=", "error: resume must name the folder of a training, got 'resume='"),
        ("resume=search", "error: resume=search: a search is in this folder: python search.py resume=search"),
    ],
)
def test_a_folder_without_a_training_is_told(command, tmp_path, argument, message):
    (tmp_path / "search").mkdir()
    (tmp_path / "search/state.json").touch()
    assert refused(command, argument).startswith(message)


@pytest.mark.slow
def test_a_finished_training_is_not_repeated(command, tmp_path):
    command("train", *SHORT, "hydra.run.dir=run", tiny=False)
    result = (tmp_path / "run/result.json").read_bytes()
    printed = command("train", "resume=run", tiny=False)
    assert printed.startswith("This training is finished: there was nothing left to do.\nvalidation: gacc ")
    assert (tmp_path / "run/result.json").read_bytes() == result


@pytest.mark.slow
def test_a_full_disk_costs_a_checkpoint_and_neither_the_training_nor_the_one_before(
    command, tmp_path, capsys, monkeypatch
):
    def no_room(path):
        if path.name == "step_3.ckpt":
            return whole_file(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_files, "whole_file", no_room)
    with pytest.raises(SystemExit, match="on purpose"):
        command("train", *SHORT, "trainer.max_steps=12", breaks(10), "hydra.run.dir=run", tiny=False)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert told == [
        "note: run/checkpoints/step_6.ckpt cannot be written (No space left on device): the training goes on; the last "
        "one is run/checkpoints/step_3.ckpt"
    ]
    assert [path.name for path in checkpoint_paths(tmp_path / "run")] == ["step_3.ckpt"]


def test_the_best_weights_are_the_result(command, tmp_path):
    printed = command(
        "train", *SHORT, "monitor=miou", "checkpoint.keep_best=2", "test=true", "hydra.run.dir=run", tiny=False
    )
    with (tmp_path / "run/log/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/miou"]]
    in_training = [row for row in rows if int(row["step"]) < 8]
    best = max(in_training, key=lambda row: float(row["val/miou"]))
    result = Result.load(tmp_path / "run")
    assert result.step == int(best["step"]) + 1
    assert result.scores == {name: pytest.approx(float(best[f"val/{name}"]), rel=1e-6) for name in result.scores}
    assert f"weights of step {result.step}, the best by miou on the validation data" in printed
    kept = list((tmp_path / "run/checkpoints").iterdir())
    assert len(kept) == 2
    best_file = tmp_path / f"run/checkpoints/miou_{result.scores['miou']:.4f}_step_{result.step}.pt"
    (other,) = set(kept) - {best_file}
    weights = torch.load(tmp_path / "run/weights.pt")
    assert_close(torch.load(best_file), weights, rtol=0, atol=0)
    assert any(not torch.equal(value, weights[name]) for name, value in torch.load(other).items())


@pytest.mark.slow
def test_a_training_that_stopped_early_says_so(command, tmp_path):
    printed = command("train", *SHORT, f"trainer.callbacks=[{STOP}]", "hydra.run.dir=run", tiny=False)
    assert "stopped early at step 4\n" in printed
    assert (Result.load(tmp_path / "run").step, Result.load(tmp_path / "run").stopped) == (4, 4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["monitor=mio"], "error: unknown monitor 'mio': choose one of miou, "),
        (["monitor=miou", "validate_every=8"], "error: monitor=miou chooses among several validations, and validate_"),
        (["checkpoint.keep_best=-1"], "error: checkpoint.keep_best must be a whole number of 0 or more, got -1"),
        *slow(
            [
                (
                    ["checkpoint.every_n_steps=0"],
                    "error: checkpoint.every_n_steps: expected an integer of 1 or more, got 0",
                ),
                (["checkpoint.every_minutes=0"], "error: checkpoint.every_minutes: expected a number above 0, got 0"),
                (["compile=maybe"], "error: compile must be true or false, got 'maybe'"),
                (["checkpoint.resume=2"], "error: checkpoint.resume must be true or false, got 2"),
            ]
        ),
    ],
)
def test_settings_out_of_range_are_told(command, overrides, message):
    assert refused(command, *SHORT, *overrides).startswith(message)


def test_a_sampler_goes_on_in_the_middle_of_an_epoch_without_the_samples_before():
    whole = ShardedRandomSampler(range(10), seed=3, augment=Augment())
    whole.set_epoch(2)
    keys = list(whole)
    rest = ShardedRandomSampler(range(10), seed=3, augment=Augment())
    rest.go_on(epoch=2, used=4)
    rest.set_epoch(2)
    assert repr(list(rest)) == repr(keys[4:])
    assert len(rest) == 10
    whole.set_epoch(3)
    rest.set_epoch(3)
    assert repr(list(rest)) == repr(list(whole))


def test_drafts_of_a_process_that_was_killed_are_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/.step_3.ckpt.0f").touch()
    (tmp_path / "checkpoints/step_3.ckpt").touch()
    discard_drafts(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_3.ckpt"]


def test_results_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"scores": {"miou": 0.5}, "test": {}, "seconds": 1.0}))
    result = Result.load(tmp_path)
    assert (result.step, result.stopped) == (None, None)
