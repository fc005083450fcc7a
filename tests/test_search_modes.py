"""The other modes of `python search.py`: help, grids of runs, dry runs, refusals and resumed searches."""

import re
from pathlib import Path
from unittest.mock import Mock

import pytest
from conftest import SEARCH, TINY
from helpers.members import slow
from helpers.searches import refusal
from omegaconf import OmegaConf

from autosegloss.runtime import Ownership
from autosegloss.search import History
from autosegloss.training.outcome import Failure, Result

SEEDED = "hydra.sweeper.comparison_seeds=[0]"
GRID = ["metric=macc", "hydra/sweeper=autosegloss", "hydra.sweep.dir=grid"]
LOW, HIGH = "[.1,.2,.3,.4,.5,.6]", "[.6,.5,.4,.3,.2,.1]"
TRIALS = [f"step_{step:04}/trial_{index:03}" for step in (0, 1) for index in (0, 1)]  # of SEARCH


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SHOWN = [
    (["--cfg", "job", "--resolve", "resume=DIR"], "\nresume: DIR\n"),
    (["--help"], "bf1 biou biou_cheng dice fbeta fwiou gacc macc mcc miou miou+bf1"),
]
OTHER_SHOWN = [
    (["--cfg", "job"], "\nmetric:\n  _target_: autosegloss.formulas.MeanIoU\n"),
    (["--cfg", "hydra", "hydra/sweeper=random"], "_target_: autosegloss.search.RandomSearch"),
    (["--cfg", "all"], "\ndry_run: false\n"),
    (["--info", "all"], "AutoSegLossSweeper"),
    (["--hydra-help"], "--multirun"),
]


@pytest.mark.parametrize(("arguments", "shown"), [*SHOWN, *slow(OTHER_SHOWN)])
def test_it_shows_its_settings_and_trains_nothing(command, tmp_path, trainings, capsys, arguments, shown):
    try:
        out = command("search", *arguments, tiny=False)
    except SystemExit as ended:  # of the helps
        assert not ended.code  # noqa: PT017
        out = capsys.readouterr().out
    assert shown in out
    assert not trainings.directories
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_grid_of_thetas_is_a_run_for_each_combination(command, tmp_path, trainings):
    command("search", *GRID, f"theta={LOW},{HIGH}", "seed=0,1", "optimizer.lr=.001", "trainer.max_steps=4")
    assert trainings.directories == [tmp_path / "grid" / str(n) for n in range(4)]
    assert "seed=1" in (tmp_path / "grid/3/.hydra/overrides.yaml").read_text()
    assert "sweeper.AutoSegLossSweeper" in (tmp_path / "grid/multirun.yaml").read_text()


@pytest.mark.slow
def test_the_runs_of_a_grid_are_trainings(command, tmp_path):
    command("search", *GRID, f"theta={LOW},{HIGH}", "seed=0,1")
    runs = [tmp_path / "grid" / str(n) for n in range(4)]
    assert len({Result.load(run).scores["macc"] for run in runs}) > 1
    configs = [OmegaConf.load(run / ".hydra/config.yaml") for run in runs]
    assert len({(str(config.theta), config.seed) for config in configs}) == 4
    assert "theta of 'macc' with curve 'bezier' is 6 numbers" in refusal(command, *GRID, "theta=[.5]")
    assert "no result after 0.01 seconds" in refusal(command, *GRID, "hydra.sweeper.trial_timeout=.01")


@pytest.mark.slow
def test_a_dry_run_tells_the_parts_and_leaves_nothing(command, tmp_path, trainings):
    race = ["hydra.sweeper.rungs=[1]", "hydra.sweeper.finalists=2"]
    out = command("search", "profile=small", "dry_run=true", *race)
    assert all(f"│ {part} " in out for part in ("losses", "thetas", "comparison", "finalists"))
    assert re.search(r"About 0:0\d:\d\d in all", out)
    assert [directory.name for directory in trainings.directories] == ["first", "timed"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_dry_run_does_not_guess_the_time_of_runs_that_are_unlike_the_trials(command, trainings):
    other = 'hydra.sweeper.comparison_common=["network.decoder_channels=32"]'
    out = command("search", *SEARCH, SEEDED, other, "dry_run=true")
    assert re.search(r"comparison +│ +3 +│ +\d+ +│ +\? +│ +\?", out)
    assert "Not in it: runs with other images or another network than the trials" in out


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [["hydra/launcher=basic"], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_dry_run_trains_for_a_moment_on_every_launcher(command, tmp_path, launcher):
    assert "All runs can be made. Nothing was kept" in command("search", *SEARCH, *launcher, "dry_run=true")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_whose_trial_fails_says_why_and_leaves_nothing(command, tmp_path, monkeypatch):
    failure = Failure("failed", "MemoryError: no memory")
    monkeypatch.setattr("autosegloss.cli.jobs.run_in_subprocess", Mock(return_value=failure))
    assert refusal(command, *SEARCH, "dry_run=true") == "error: the short trial failed: MemoryError: no memory"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_refused_search_leaves_its_neighbours_alone(command, tmp_path, trainings):
    (tmp_path / "searches/macc/mine").mkdir(parents=True)
    assert "samples must be 1 or more" in refusal(command, *SEARCH, "hydra.sweeper.samples=0")
    assert [path.name for path in tmp_path.rglob("*")] == ["searches", "macc", "mine"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("started", "added"),
    [
        ([], [*TINY, *SEARCH, "hydra.sweep.dir=found"]),  # the same command line again, with resume=found behind it
        (["profile=small", "hydra.sweeper.comparison={}"], ["hydra.sweeper.max_retries=0"]),
        (["hydra/sweeper=random", "seed=3"], ["hydra.sweeper.trial_timeout=9"]),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"], ["hydra/launcher=basic"]),
    ],
)
def test_a_search_goes_on_as_it_was_started(command, tmp_path, interrupted, trainings, started, added):
    interrupted("found", *started)
    command("search", "resume=found", *added, tiny=False)
    assert [str(path.relative_to(tmp_path / "found")) for path in trainings.directories] == TRIALS[2:]
    assert len(History(tmp_path / "found").trials) == 4


@pytest.mark.slow
def test_a_dry_run_of_a_resume_tells_what_is_left_and_touches_nothing(command, tmp_path, interrupted, trainings):
    interrupted("found")
    before = files(tmp_path / "found")
    assert re.search("trials +│ +2 ", command("search", "resume=found", "dry_run=true", tiny=False))
    assert [path.name for path in trainings.directories] == ["first", "timed"]
    assert files(tmp_path / "found") == before


@pytest.mark.slow
def test_the_folder_is_named_by_any_path_to_it(command, tmp_path, monkeypatch, interrupted):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    name = "my folder\\'s (new), a=1"
    interrupted(f"'../{name}'")
    assert "trials" in command("search", f"resume='{tmp_path}/here/../{name}/'", "dry_run=true", tiny=False)
    command("search", f"resume='../{name}'", tiny=False)
    assert "This search is finished" in command("search", f"resume='{tmp_path}/{name}'", "dry_run=true", tiny=False)


@pytest.mark.slow
def test_what_does_not_compose_with_a_resumed_search_is_told(command, interrupted):
    interrupted("found")
    message = refusal(command, "resume=found", "data=folder", tiny=False)
    assert re.search(r"was started with other settings, which do not go together with .*data=folder", message)
    assert "leave these out" in message


@pytest.mark.slow
def test_a_finished_search_says_so_and_trains_nothing(command, tmp_path, trainings):
    command("search", *SEARCH, "hydra.sweep.dir=found")
    trainings.directories.clear()
    before = files(tmp_path / "found")
    for mode in ([], ["dry_run=true"]):
        out = command("search", "resume=found", *mode, tiny=False)
        assert re.search("This search is finished: there (was|is) nothing left to do in found", out)
    assert not trainings.directories
    assert files(tmp_path / "found") == before


@pytest.mark.slow
def test_a_search_is_not_changed_nor_shared(command, tmp_path, interrupted, trainings):
    interrupted("found")
    before = files(tmp_path / "found")
    for changed, differing in {
        "seed=3": "seed was 0, is 3",
        "hydra/sweeper=random": "hydra.sweeper.strategy._target_ was 'autosegloss.search.PPO', is 'autosegloss.search",
    }.items():
        assert differing in refusal(command, "resume=found", changed, tiny=False)
    assert differing in refusal(command, "resume=found", changed, "dry_run=true", tiny=False)
    with Ownership(tmp_path / "found"):
        for folder in ("resume=found", "hydra.sweep.dir=found"):
            assert f"a search is running in {tmp_path}/found (process " in refusal(command, *SEARCH, folder)
    assert "hydra.sweep.dir=other as well" in refusal(command, "resume=found", "hydra.sweep.dir=other", tiny=False)
    assert "has no strategy" in refusal(command, "resume=found", "hydra/sweeper=autosegloss", tiny=False)
    remedy = "continue it with python search.py resume=found"
    assert f"found holds a search already: {remedy}" in refusal(command, "hydra.sweep.dir=found")
    assert files(tmp_path / "found") == before
    assert not trainings.directories
    assert [path.name for path in tmp_path.iterdir()] == ["found"]
