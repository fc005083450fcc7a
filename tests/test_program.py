"""The console program: `autosegloss train` is train.py, `autosegloss search` is search.py."""

import sys

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from autosegloss.cli.program import PROGRAMS, config_folder, main


@pytest.fixture
def autosegloss(monkeypatch, tmp_path, capsys):
    """`autosegloss("train", "loss=dice")` is that command in an empty folder; gives what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; the fixture puts it back

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["autosegloss", *arguments])
        main()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("program", ["train", "search"])
def test_both_ways_to_start_a_program_compose_the_same(program, autosegloss, command):
    composed = autosegloss(program, "metric=bf1", "--cfg", "all")
    assert OmegaConf.create(composed).hydra.job.name == program
    assert composed == command(program, "metric=bf1", "--cfg", "all", tiny=False)


def test_a_checkout_has_its_configuration_at_the_top():
    assert config_folder() == ROOT / "conf"


def test_a_folder_of_the_user_adds_to_the_configuration(autosegloss, tmp_path):
    (tmp_path / "own/metric").mkdir(parents=True)
    (tmp_path / "own/metric/wide.yaml").write_text("_target_: autosegloss.formulas.BoundaryIoU\nwidth: 9\n")
    config = OmegaConf.create(autosegloss("train", "--config-dir", "own", "metric=wide", "--cfg", "job"))
    assert config.metric.width == 9


def test_the_help_lists_the_programs(autosegloss, capsys):
    with pytest.raises(SystemExit, match="0"):
        autosegloss("--help")
    shown = capsys.readouterr().out
    assert all(f"autosegloss {name} " in shown for name in PROGRAMS)


@pytest.mark.parametrize("arguments", [(), ("fly",)])
def test_an_unknown_program_is_told(autosegloss, arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        autosegloss(*arguments)
    assert "{train,search}" in capsys.readouterr().err


def test_a_mistake_is_one_line(autosegloss):
    with pytest.raises(SystemExit, match=r"error: unknown metric 'mioU': choose one of miou, ") as ending:
        autosegloss("train", "metric=mioU")
    assert "\n" not in str(ending.value)
