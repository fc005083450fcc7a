"""All that `python search.py` can be asked for beside a search from beginning to end."""

import re
from pathlib import Path
from statistics import fmean

import pytest
from conftest import TINY

from autosegloss.formulas import PAPER
from autosegloss.processes import Ownership
from autosegloss.result import Result
from autosegloss.search import History

SEARCH = [
    "metric=macc",
    "data.holdout=8",
    "hydra.sweeper.steps=2",
    "hydra.sweeper.samples=2",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.comparison_seeds=[]",
]
LOW, HIGH = "[.1,.2,.3,.4,.5,.6]", "[.6,.5,.4,.3,.2,.1]"
TRIALS = [f"step_{step:04}/trial_{index:03}" for step in (0, 1) for index in (0, 1)]  # of SEARCH


class Trainings:
    """In the place of real ones: their score follows from theta at once; the n-th of them meets Ctrl-C if told so."""

    def __init__(self):
        self.directories: list[Path] = []
        self.interrupted = None

    def __call__(self, cfg, directory, **_) -> Result:
        if len(self.directories) + 1 == self.interrupted:
            raise KeyboardInterrupt
        self.directories.append(Path(directory))
        if cfg.save_weights:
            Path(directory, "weights.pt").write_bytes(b"")
        result = Result(dict.fromkeys(PAPER, fmean(cfg.theta or [0.5])), {}, 0.2, 0.1)
        result.save(directory)
        return result


@pytest.fixture
def trainings(monkeypatch):
    trainings = Trainings()
    monkeypatch.setattr("autosegloss.cli._apart", trainings)
    monkeypatch.setattr("autosegloss.report.summary.write_figures", lambda *_: None)  # they take seconds
    return trainings


@pytest.fixture
def interrupted(command, trainings):
    """`interrupted("found", "metric=bf1")`: a search in that folder, interrupted in its third training."""

    def run(folder: str, *overrides: str) -> None:
        trainings.interrupted = 3
        with pytest.raises(SystemExit, match="interrupted: 2 finished trials are kept"):
            command("search", *SEARCH, *overrides, f"hydra.sweep.dir={folder}")
        trainings.interrupted = None
        trainings.directories.clear()

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(command, *overrides: str, tiny: bool = True) -> str:
    """The line that ends `python search.py` with these overrides."""
    with pytest.raises(SystemExit) as ended:
        command("search", *overrides, tiny=tiny)
    assert str(ended.value).startswith("error: ")
    assert "\n" not in str(ended.value)
    return str(ended.value)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--cfg", "job"], "\nmetric:\n  _target_: autosegloss.formulas.MeanIoU\n"),
        (["--cfg", "job", "--resolve"], "\nvalidate_every: 300\n"),
        (["--cfg", "job", "resume=DIR"], "\nresume: DIR\n"),
        (["--cfg", "hydra", "hydra/sweeper=random"], "_target_: autosegloss.search.RandomSearch"),
        (["--cfg", "all"], "\ndry_run: false\n"),
        (["--info", "all"], "AutoSegLossSweeper"),
        (["--help"], "metric: bf1, biou, fwiou, gacc, macc, miou"),
        (["--hydra-help"], "--multirun"),
    ],
)
def test_it_shows_its_settings_and_trains_nothing(command, tmp_path, trainings, capsys, arguments, shown):
    try:
        out = command("search", *arguments, tiny=False)
    except SystemExit as ended:  # of the helps
        assert not ended.code  # noqa: PT017
        out = capsys.readouterr().out
    assert shown in out
    assert not trainings.directories
    assert not list(tmp_path.iterdir())


def test_a_grid_of_thetas_is_a_run_for_each_combination(command, tmp_path, trainings):
    command(
        "search", "metric=macc", f"theta={LOW},{HIGH}", "seed=0,1", "hydra/sweeper=autosegloss", "hydra.sweep.dir=g"
    )
    assert trainings.directories == [tmp_path / str(n) for n in range(4)]
    assert "seed=1" in (tmp_path / "3/.hydra/overrides.yaml").read_text()


@pytest.mark.slow
def test_the_runs_of_a_grid_are_trainings(command, tmp_path):
    grid = ["metric=macc", "hydra/sweeper=autosegloss", "hydra.sweep.dir=grid"]
    command("search", *grid, f"theta={LOW},{HIGH}", "seed=0,1")
    scores = [Result.load(tmp_path / "grid" / str(n)).scores["macc"] for n in range(4)]
    assert len(set(scores)) == 4
    assert "theta of 'macc' with curve 'bezier' is 6 numbers" in refusal(command, *grid, "theta=[.5]")
    assert "no result after 0.01 seconds" in refusal(command, *grid, "hydra.sweeper.trial_timeout=.01")


@pytest.mark.parametrize("profile", ["demo", "small"])
def test_a_dry_run_tells_the_parts_and_leaves_nothing(command, tmp_path, trainings, profile):
    out = command("search", f"profile={profile}", "dry_run=true")
    assert all(f"│ {part} " in out for part in ("warm-up", "trials", "finalists", "comparison"))
    assert re.search(r"About 0:0\d:\d\d in all", out)
    assert [directory.name for directory in trainings.directories] == ["first", "timed"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [["hydra/launcher=basic"], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_dry_run_trains_for_a_moment_on_every_launcher(command, tmp_path, launcher):
    assert "All runs can be made. Nothing was kept" in command("search", *SEARCH, *launcher, "dry_run=true")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['hydra.sweeper.warmup=["loss=dise"]'], "unknown loss 'dise': choose one of dice"),
        (['hydra.sweeper.warmup=["trainer.max_steps=abc"]'], "warmup: trainer.max_steps must be a whole number"),
        (['hydra.sweeper.final=["+loss.power=2"]'], "finalists: loss: .*'power'"),
        (['+hydra.sweeper.comparison.x=["los=dice"]'], "comparison/x/seed_0: Could not override 'los'"),
        (['hydra.sweeper.comparison_common=["data.holdout=999"]'], "comparison/.*: holdout=999 leaves 999 of 24"),
        (['+hydra.sweeper.comparison.x=["loss=searched","loss.theta=no.yaml"]'], "comparison/x/seed_0: .* no.yaml"),
        (["trainer.max_steps=0"], "trials: trainer.max_steps must be a whole number of 1 or more, got 0"),
        (["dry_run=yes"], "dry_run must be true or false, got dry_run=yes"),
        (["hydra/sweeper=autosegloss"], "dry_run is for a search, .*: leave out dry_run, or choose"),
    ],
)
def test_a_dry_run_finds_a_mistake_in_any_run(command, tmp_path, trainings, overrides, message):
    assert re.match(f"error: {message}", refusal(command, "dry_run=true", *overrides))
    assert not trainings.directories
    assert not list(tmp_path.iterdir())


def test_a_dry_run_whose_trial_fails_says_why_and_leaves_nothing(command, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no memory")

    monkeypatch.setattr("autosegloss.cli._apart", fail)
    assert refusal(command, *SEARCH, "dry_run=true") == "error: the short trial failed: MemoryError: no memory"
    assert not list(tmp_path.iterdir())


def test_a_refused_search_leaves_its_neighbours_alone(command, tmp_path, trainings):
    (tmp_path / "searches/macc/mine").mkdir(parents=True)
    assert "samples must be 1 or more" in refusal(command, *SEARCH, "hydra.sweeper.samples=0")
    assert [path.name for path in tmp_path.rglob("*")] == ["searches", "macc", "mine"]


@pytest.mark.parametrize(
    ("started", "added"),
    [
        ([], []),
        ([], [*TINY, *SEARCH, "hydra.sweep.dir=found"]),  # the same command line again, with resume=found behind it
        (["profile=small", "hydra.sweeper.comparison={}"], ["hydra.sweeper.max_retries=0"]),
        (["hydra/sweeper=random", "seed=3"], ["hydra.sweeper.trial_timeout=9"]),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"], ["hydra/launcher=basic"]),
    ],
)
def test_a_search_goes_on_as_it_was_started(command, tmp_path, interrupted, trainings, started, added):
    interrupted("found", *started)
    before = files(tmp_path / "found")
    out = command("search", "resume=found", *added, "dry_run=true", tiny=False)
    assert re.search("trials +│ +2 ", out)
    assert files(tmp_path / "found") == before
    trainings.directories.clear()
    command("search", "resume=found", *added, tiny=False)
    assert [str(path.relative_to(tmp_path / "found")) for path in trainings.directories] == TRIALS[2:]
    assert len(History(tmp_path / "found").trials) == 4


@pytest.mark.parametrize("name", ["found", "my folder's (new), a=1"])
def test_a_folder_is_named_in_every_way(command, tmp_path, monkeypatch, interrupted, trainings, name):
    value = "'" + name.replace("'", "\\'") + "'"
    interrupted(value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for way in (value, f"'../{value[1:]}", f"'{tmp_path}/{value[1:]}"):
        assert "trials" in command("search", f"resume={way}", "dry_run=true", tiny=False)
