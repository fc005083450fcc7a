"""How the programs end: closed pipes, output folders that cannot be written, bugs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY

from autosegloss.cli.errors import run_program
from autosegloss.cli.streams import guarded_output
from autosegloss.errors import InputError

GRID = ["hydra.mode=MULTIRUN", "seed=0,1"]


def into_closed_pipe(folder: Path, program: str, *arguments: str, unbuffered: str = "") -> tuple[int, str]:
    """The exit code and the errors of a program, train, search or the options of Python, whose output has no reader."""
    script = [str(ROOT / f"{program}.py")] if program in ("train", "search") else program.split()
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        ended = subprocess.run(
            [sys.executable, *script, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
    return ended.returncode, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "arguments", "unbuffered"),
    [
        ("train", "--help", "1"),
        ("search", "--info", ""),
        ("-c __import__('autosegloss.cli.program',fromlist=['main']).main()", "--help", ""),
        ("-m autosegloss.data", "check data.source.size=32 data.source.train=4 data.source.val=4", ""),
        ("-m autosegloss.report", "table 2", "1"),
    ],
)
def test_a_closed_pipe_ends_a_program_in_silence(tmp_path, program, arguments, unbuffered):
    """As in `python train.py --help | head -1`; the exit code is that of a process which SIGPIPE has killed."""
    ended = into_closed_pipe(tmp_path, program, *arguments.split(), unbuffered=unbuffered)
    assert ended == (128 + signal.SIGPIPE, "")


@pytest.mark.slow
def test_a_training_whose_progress_bar_has_no_reader_ends_in_silence(tmp_path):
    arguments = [*TINY, "trainer.max_steps=40", "hydra.run.dir=run"]
    assert into_closed_pipe(tmp_path, "train", *arguments) == (128 + signal.SIGPIPE, "")
    assert json.loads((tmp_path / "run/failure.json").read_text())["kind"] == "interrupted"
    assert not (tmp_path / "run/result.json").exists()


@pytest.mark.slow
def test_a_program_without_stdout_works_as_with_the_null_device(tmp_path):
    command = f"exec {sys.executable} {ROOT / 'train.py'} {' '.join(TINY)} hydra.run.dir=run >&-"
    ended = subprocess.run(command, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "run/result.json").exists()


@pytest.mark.slow
def test_a_training_whose_scores_have_no_reader_ends_in_silence(tmp_path):
    quiet = [*TINY, "trainer.enable_progress_bar=false", "hydra.run.dir=run"]
    assert into_closed_pipe(tmp_path, "train", *quiet, unbuffered="1") == (128 + signal.SIGPIPE, "")
    assert (tmp_path / "run/result.json").exists()


def test_a_broken_pipe_that_is_not_the_console_is_an_error(capfd):
    with pytest.raises(BrokenPipeError), guarded_output():
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("program", "folder", "reason"),
    [
        ("train", "file/run", "Not a directory"),
        ("search", "file", "Not a directory"),
        ("train", "closed", "Permission denied"),
    ],
)
def test_an_output_folder_that_cannot_be_written_is_told_in_one_line(command, tmp_path, program, folder, reason):
    if folder == "closed" and os.geteuid() == 0:
        pytest.skip("root writes into every folder")
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    grid = [*GRID, "hydra/sweeper=autosegloss"] if program == "search" else GRID
    for arguments in (["hydra.mode=RUN", f"hydra.run.dir={folder}"], [*grid, f"hydra.sweep.dir={folder}"]):
        with pytest.raises(SystemExit, match=f"error: the output folder cannot be written .*{reason}") as ended:
            command(program, *arguments)
        assert "\n" not in str(ended.value)


def test_an_output_folder_that_cannot_be_named_is_told_once(command):
    with pytest.raises(SystemExit, match=r"^error: hydra.run.dir: Interpolation key 'nothing' not found$"):
        command("train", "hydra.run.dir='${nothing}'")


def test_a_grid_tells_its_mistake_in_one_line(command):
    with pytest.raises(SystemExit, match=r"^error: seed must be a whole number of 0 or more, got -1$"):
        command("train", "hydra.mode=MULTIRUN", "seed=-1,-2", "hydra.sweep.dir=grid")


@pytest.mark.parametrize("full", ["0", "1"])
def test_an_error_that_is_no_mistake_shows_its_traceback(monkeypatch, full):
    monkeypatch.setenv("HYDRA_FULL_ERROR", full)

    def bug():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_program(bug)


def test_with_full_errors_a_mistake_shows_its_traceback(monkeypatch):
    def mistake():
        raise InputError("choose another")

    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit, match=r"^error: choose another$"):
        run_program(mistake)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(InputError, match="choose another"):
        run_program(mistake)
