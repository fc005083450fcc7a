"""python -m autosegloss.report: its output, and how it ends."""

import os
import subprocess
import sys

import pytest
from helpers.run_folders import write_run

from autosegloss.cli.report import main, run
from autosegloss.errors import InputError


@pytest.fixture
def program(monkeypatch):
    """`program("table", "2")` is `python -m autosegloss.report table 2`."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; the fixture restores it

    def start(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        main()

    return start


def test_it_prints_or_writes(tmp_path, capsys):
    write_run(tmp_path / "run")
    run(["table", "2", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.startswith("# Table 2")
    run(["table", "2", str(tmp_path), "--out", str(tmp_path / "table.md")])
    assert (tmp_path / "table.md").read_text() == printed
    run(["table", "2", "--csv"])
    assert capsys.readouterr().out.startswith("section,row,column,n,ours,std,release\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8"], "unknown table '8': choose one of"),
        (["2", "no/such"], "there is no folder no/such: give folders of"),
        (["2", "--out", "/dev/null/table.md"], r"the table cannot be written \(.*\): choose another place with --out"),
    ],
)
def test_a_mistake_is_one_line(program, arguments, message):
    with pytest.raises(InputError, match=message):
        run(["table", *arguments])
    with pytest.raises(SystemExit, match=f"^error: {message}") as ended:
        program("table", *arguments)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize("arguments", [["table", "2"], ["--help"]])
def test_a_closed_pipe_ends_it_without_a_message(program, monkeypatch, capsys, arguments):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            program(*arguments)
    assert isinstance(ended.value.code, int)
    assert ended.value.code != 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_its_output_may_be_cut_off(tmp_path):
    write_run(tmp_path / "run")
    table = [sys.executable, "-m", "autosegloss.report", "table", "2", str(tmp_path)]
    with subprocess.Popen(table, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()  # as `head` does
        assert process.stderr.read() == ""
