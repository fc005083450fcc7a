"""python -m autosegloss.report: its output, and how it ends."""

import os
import subprocess
import sys

import pytest
from helpers.run_folders import write_run, write_search

from autosegloss.cli.report import main, run
from autosegloss.errors import InputError
from autosegloss.report.archive import Archive
from autosegloss.report.paper import paper_figure


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
    run(["table", "2", "--format", "csv"])
    assert capsys.readouterr().out.startswith("section,row,column,n,ours,std,paper,release\n")
    run(["table", "2", "--out", str(tmp_path / "table.html")])
    assert (tmp_path / "table.html").read_text().startswith("<!doctype html>")


def test_a_terminal_shows_a_table(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(["table", "5"])
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[1mTable 5")
    assert "┃" in shown


def test_figure_3_is_drawn_from_searches(tmp_path):
    write_search(tmp_path / "p0", 0, "PPO", [[0.1, 0.3], [0.4, 0.6], [0.2, 0.2]])
    write_search(tmp_path / "r0", 0, "RandomSearch", [[0.2, 0.4]])
    (axes,) = paper_figure("3", Archive.of([tmp_path])).axes
    lines = {line.get_label(): line.get_xydata().T.tolist() for line in axes.lines}
    assert lines["PPO2, n = 1"] == [[1, 2, 3], pytest.approx([20, 50, 50])]
    assert lines["random, n = 1"] == [[1], pytest.approx([30])]
    run(["figure", "3", str(tmp_path), "--out", str(tmp_path / "fig3.svg")])
    assert (tmp_path / "fig3.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8"], "unknown table '8': choose one of"),
        (["2", "no/such"], "there is no folder no/such: give folders of"),
        (["2", "--out", "/dev/null/table.md"], r"/dev/null/table.md cannot be written \(.*\): choose another place"),
        (["figure", "9", "--out", "a.png"], "unknown figure '9': choose one of 3"),
        (
            ["figure", "3", "--out", "a.png"],
            "no search fits Figure 3.*: no folders were given. Give folders of experiment",
        ),
    ],
)
def test_a_mistake_is_one_line(program, arguments, message):
    arguments = arguments if arguments[0] == "figure" else ["table", *arguments]
    with pytest.raises(InputError, match=message):
        run(arguments)
    with pytest.raises(SystemExit, match=f"^error: {message}") as ended:
        program(*arguments)
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
