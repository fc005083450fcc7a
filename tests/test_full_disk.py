"""Disks that are full: what can be kept is kept, and one line tells what cannot be written, and why."""

import errno
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from pytorch_lightning.loggers import CSVLogger

from autosegloss.cli import data, report
from autosegloss.errors import InputError
from autosegloss.training.callbacks import LogFile
from autosegloss.training.outcome import Result

QUIET = ["trainer.enable_progress_bar=false", "hydra.run.dir=run"]
FULL = OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def largest_file(size: int):
    """The system refuses to let a file of this process grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_room(*_: object, **__: object) -> None:
    raise FULL


def test_weights_that_cannot_be_written_do_not_cost_the_scores(command, tmp_path, capsys):
    line = r"^error: run/weights.pt cannot be written \(File too large\): make room; the scores above are complete$"
    with largest_file(100_000), pytest.raises(SystemExit, match=line):
        command("train", *QUIET)
    assert "validation: gacc" in capsys.readouterr().out
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["unsaved"] == "run/weights.pt cannot be written (File too large)"
    assert 0 <= result["scores"]["miou"] <= 1
    assert not list((tmp_path / "run").glob("*weights*"))


@pytest.mark.slow
def test_weights_and_scores_that_cannot_be_written_are_told_together(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Result, "save", no_room)
    line = r"^error: run/result.json .*No space left on device\); run/weights.pt cannot be written \(File too large\): "
    with largest_file(100_000), pytest.raises(SystemExit, match=line):
        command("train", *QUIET)
    assert "validation: gacc" in capsys.readouterr().out


def test_an_interrupt_on_a_full_disk_does_not_promise_weights(command, tmp_path):
    interrupted = "trainer.callbacks=[{_target_:helpers.acts.Signal,name:SIGTERM}]"
    with largest_file(100_000), pytest.raises(SystemExit, match=r"steps; run/weights.pt cannot be written") as ended:
        command("train", *QUIET, interrupted, "trainer.max_steps=50")
    assert "are kept" not in str(ended.value)


def test_a_training_goes_on_without_its_log(command, tmp_path, monkeypatch):
    monkeypatch.setattr(CSVLogger, "save", no_room)
    command("train", *QUIET)
    assert (tmp_path / "run/weights.pt").exists()
    assert (tmp_path / "run/result.json").exists()


def test_a_log_that_cannot_be_written_is_told_once(tmp_path, capsys, monkeypatch):
    log = LogFile(str(tmp_path), name=None, version="log")
    log.log_metrics({"loss": 1.0}, step=0)
    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "save", no_room)
        log.save()
        log.save()
    assert (
        capsys.readouterr().err
        == f"note: {tmp_path}/log cannot be written (No space left on device): the log stays unfinished\n"
    )
    log.save()
    assert (tmp_path / "log/metrics.csv").read_text().split() == ["loss,step", "1.0,0"]


def test_a_console_that_is_full_costs_a_training_no_weights(command, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.acts.Tell.on_train_start", no_room)
    tells = "trainer.callbacks=[{_target_:helpers.acts.Tell}]"
    with pytest.raises(
        SystemExit, match=r"^error: the output cannot be written \(No space left on device\): make room"
    ):
        command("train", *QUIET, tells)
    assert (tmp_path / "run/weights.pt").exists()
    assert json.loads((tmp_path / "run/failure.json").read_text())["kind"] == "failed"


@pytest.mark.parametrize("program", ["train", "search"])
def test_a_program_that_cannot_begin_to_write_says_so(command, program):
    with (
        largest_file(100),
        pytest.raises(SystemExit, match=r"^error: .*cannot be written \(File too large\): ") as ended,
    ):
        command(program, f"hydra.{'run' if program == 'train' else 'sweep'}.dir=run")
    assert "\n" not in str(ended.value)


@pytest.mark.slow
def test_a_table_and_a_picture_that_cannot_be_written_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with (
        largest_file(50),
        pytest.raises(InputError, match=r"^table.md cannot be written .*File too large.*--out FILE"),
    ):
        report.run(["table", "2", "--out", "table.md"])
    shapes = ["check", "data.source.train=4", "data.source.val=4", "data.source.test=0", "data.source.size=32"]
    with (
        largest_file(50),
        pytest.raises(InputError, match=r"^the picture cannot be written .*File too large.*out=PATH"),
    ):
        data.run([*shapes, "out=picture.png"])
    assert not (tmp_path / "table.md").exists()


def into(file: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the errors of `python ARGUMENTS > FILE`."""
    with open(file, "w") as stdout:
        ended = subprocess.run(
            [sys.executable, *arguments], cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    return ended.returncode, ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    ("program", "left"),
    [
        (["train.py", *TINY, *QUIET], "run/result.json"),
        (["train.py", *TINY, "hydra.run.dir=run"], "run/failure.json"),
    ],
    ids=["scores", "bar"],
)
def test_output_onto_a_full_device_ends_a_program_with_one_line(tmp_path, program, left):
    code, errors = into("/dev/full", tmp_path, str(ROOT / program[0]), *program[1:])
    assert code == 1
    assert errors.splitlines()[-1].startswith("error: the output cannot be written (No space left on device)")
    assert "Traceback" not in errors
    assert "Error executing job" not in errors
    assert (tmp_path / left).exists()
