"""The console program: `autosegloss train` is train.py, `autosegloss search` is search.py; the help of all programs."""

import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from helpers.commands import composed, single_runs
from omegaconf import OmegaConf

from autosegloss.cli.help import COMPARE, EVALUATE, EXPORT, PREDICT, SEARCH, TRAIN
from autosegloss.cli.program import PROGRAMS, config_folder, main
from autosegloss.cli.resume import resume_command
from autosegloss.evaluation.mask_files import overlay_name
from hydra_plugins.autosegloss_sweeper._commands import card_overrides, train_command

SEARCH_ONLY = ("profile", "horizon")  # groups


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
    assert all(f"\n  {name:10}{program.what}\n" in shown for name, program in PROGRAMS.items())


@pytest.mark.parametrize("arguments", [(), ("fly",)])
def test_an_unknown_program_is_told(autosegloss, arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        autosegloss(*arguments)
    assert f"{{{','.join(PROGRAMS)}}}" in capsys.readouterr().err


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_the_help_of_a_program_fits_on_a_screen_and_shows_five_examples(autosegloss, program, asked):
    lines = autosegloss(program, asked).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(f"usage: autosegloss {program} ")
    assert sum(line.startswith(f"  autosegloss {program} ") for line in lines) == 5


@pytest.mark.parametrize("program", ["train", pytest.param("search", marks=pytest.mark.slow)])
def test_the_help_lists_the_choices_of_groups_and_all_of_hydras_on_request(autosegloss, tmp_path, program, capsys):
    (tmp_path / "own/metric").mkdir(parents=True)
    (tmp_path / "own/metric/wide.yaml").touch()
    choices = "bf1 biou biou_cheng dice fbeta fwiou gacc macc mcc miou miou+bf1 miou+biou nsd precision recall tversky"
    shown = re.sub(r"\n {5,}", " ", autosegloss(program, "--help"))  # a long line goes on below
    assert re.search(rf"^  metric +{re.escape(choices)}$", shown, re.MULTILINE)
    for flag in (["--config-dir", "own"], ["--config-dir=own"]):
        shown = re.sub(r"\n {5,}", " ", autosegloss(program, "--help", *flag))
        assert re.search(rf"^  metric +{re.escape(choices)} wide$", shown, re.MULTILINE)
    with pytest.raises(SystemExit, match=r"^0$"):
        autosegloss(program, "--help-all")
    assert "encoder_name: tu-test_resnet" in capsys.readouterr().out


def test_the_help_of_train_names_what_governs_a_training(autosegloss):
    shown = autosegloss("train", "--help")
    for key in ("resume", "monitor", "validate_every", "ema", "early_stopping"):
        assert re.search(rf"\b{key}=", shown)
    groups = {path.name for path in config_folder().iterdir() if path.is_dir()} - {"hydra"} - set(SEARCH_ONLY)
    listed = set(re.findall(r"^  (\w+) +\S", shown.partition("settings, as")[0], re.MULTILINE))
    assert listed == groups


def test_the_help_names_files_that_the_programs_write():
    """Those that a training removes when it has ended, as checkpoints to go on from, are no examples."""
    assert overlay_name(Path("NAME.png")).name in PREDICT.text()
    pages = TRAIN.text() + SEARCH.text() + EVALUATE.text() + PREDICT.text() + EXPORT.text() + COMPARE.text()
    assert ".ckpt" not in pages
    assert re.findall(r"comparison/\w+(\S*)", pages) == ["/seed_0"]


@pytest.mark.slow
def test_the_examples_of_the_help_compose():
    for name, page in {"train": TRAIN, "search": SEARCH}.items():
        for command in page.examples:
            _, program, *arguments = command.split()
            assert program == name
            for run in single_runs([argument for argument in arguments if "=" in argument]):
                composed(program, run)


def test_a_mistake_is_one_line(autosegloss):
    with pytest.raises(SystemExit, match=r"error: unknown metric 'mioU': choose one of miou, ") as ending:
        autosegloss("train", "metric=mioU")
    assert "\n" not in str(ending.value)


@pytest.mark.parametrize(
    "arguments", [["trainer.max_steps=2", "trainer.max_epochs=2"], ["resume=run", "seed=1"]], ids=" ".join
)
def test_what_was_typed_in_vain_is_one_line_and_no_other(command, tmp_path, capsys, arguments):
    (tmp_path / "run/.hydra").mkdir(parents=True)
    (tmp_path / "run/.hydra/config.yaml").write_text("seed: 0\n")
    started = {"hydra": {"overrides": {"hydra": [], "task": []}, "job": {"config_name": "train"}}}
    started["hydra"]["runtime"] = {"config_sources": []}
    OmegaConf.save(OmegaConf.create(started), tmp_path / "run/.hydra/hydra.yaml")
    with pytest.raises(SystemExit, match=r"^error: ") as ending:
        command("train", *arguments, tiny=False)
    assert "\n" not in str(ending.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ("/usr/bin/autosegloss", "autosegloss train resume=run"),
        ("/there/train.py", "python train.py resume=run"),
        ("search.py", "python train.py resume=run"),
    ],
)
def test_the_command_that_goes_on_is_started_as_the_program_was(monkeypatch, started, expected):
    monkeypatch.setattr(sys, "argv", [started])
    assert resume_command("train", Path("run")) == expected


def test_the_training_with_a_found_loss_is_started_as_the_search_was(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bin/autosegloss"])
    cfg = composed("search", [])
    assert train_command(cfg, [], card_overrides(Path("card.yaml"))).startswith("autosegloss train metric=miou ")
    assert train_command(cfg, ["task=binary", "seed=1"], ["loss=dice"]).endswith(" task=binary loss=dice")
