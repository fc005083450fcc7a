"""A search that is a race, from the command line: what goes on from where, what is trained at the end, kills."""

import json
import signal

import pytest
from conftest import SEARCH
from helpers.members import slow
from helpers.searches import FEW, Running, findings

from autosegloss.search import SEARCHED, History
from autosegloss.training.resuming import checkpoint_paths

RACE = [
    "metric=macc",
    "data.holdout=8",
    "trainer.max_steps=9",
    "hydra/sweeper=auto",
    "hydra.sweeper.steps=1",
    "hydra.sweeper.samples=4",
    "hydra.sweeper.rungs=[3,6]",
    "hydra.sweeper.trial=['ema=0.5']",
    "hydra.sweeper.keep=3",
    "hydra.sweeper.finalists=1",
    "hydra.sweeper.final_seeds=1",
    *FEW,
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a race that nothing disturbs."""
    directory = tmp_path_factory.mktemp("race") / "found"
    search = Running.fresh(directory, *RACE)
    assert search.finish() == 0, search.tail()
    return directory


@pytest.mark.slow
def test_its_records_tell_its_phases(undisturbed):
    history = History(undisturbed)
    steps = [(step.phase, len(step.trials), step.trials[0].pause_at) for step in history.steps]
    assert steps == [("losses", 4, 3), ("theta", 4, 3), ("going on", len(history.steps[2].trials), 6)]
    assert [trial.name for trial in history.steps[0].trials] == ["cross-entropy", "dice", "identity", "released"]
    assert {trial.name for trial in history.steps[1].trials} == {SEARCHED}
    best = sorted((t for step in history.steps[:2] for t in step.trials), key=lambda t: -t.score)[:3]
    went_on = {(trial.origin.step, trial.origin.trial) for trial in history.steps[2].trials}
    assert {(trial.step, trial.index) for trial in best} <= went_on
    assert (0, 0) in went_on


@pytest.mark.slow
def test_a_trial_that_goes_on_is_as_one_that_never_paused(command, undisturbed, tmp_path):
    """At its pause it has the scores of a run of its own configuration that goes there at once."""
    trial = next(trial for trial in History(undisturbed).steps[2].trials if trial.theta)
    theta = f"theta={list(trial.theta)}" if trial.name == SEARCHED else "theta=null"
    own = {"released": ["loss=searched", "loss.theta=macc"], "identity": ["loss=naive"]}.get(trial.name, [theta])
    plain = [*RACE[:3], "hydra.mode=RUN", "hydra.run.dir=run", "checkpoint.pause_at=6", "ema=0.5", *own]
    command("search", *plain)
    assert json.loads((tmp_path / "run/result.json").read_text())["scores"]["macc"] == trial.score


@pytest.mark.slow
def test_overrides_of_trials_are_theirs_alone(undisturbed):
    trials, finals = (
        list(undisturbed.glob(f"{runs}/.hydra/overrides.yaml")) for runs in ("step_*/*", "comparison/*/*")
    )
    assert trials
    assert finals
    assert all("- ema=0.5\n" in path.read_text() for path in trials)
    assert not any("ema" in path.read_text() for path in finals)
    typed = json.loads((undisturbed / "state.json").read_text())["overrides"]
    assert not any(override.startswith("ema=") for override in typed)  # what a resumed search begins with


@pytest.mark.slow
def test_the_best_of_each_loss_is_trained_to_the_end(undisturbed):
    page = json.loads((undisturbed / "recommendation.json").read_text())
    names = [candidate["name"] for candidate in page["candidates"]]
    assert "cross-entropy" in names
    assert set(names) <= {"cross-entropy", "dice", "identity", "released", "searched", "searched 2"}
    assert (undisturbed / "theta.yaml").exists()


@pytest.mark.slow
def test_saved_states_go_when_nothing_goes_on_from_them(undisturbed):
    assert [str(folder) for folder in undisturbed.glob("step_*/trial_*") if checkpoint_paths(folder)] == []


@pytest.mark.slow
def test_a_race_that_is_killed_finds_the_same(undisturbed, tmp_path):
    """While trials go on; the test of chaos kills within rungs, too."""
    directory = tmp_path / "found"
    search = Running.fresh(directory, *RACE)
    try:
        assert search.wait_until((directory / "step_0002/trial_002").exists), search.tail()
        search.end(signal.SIGKILL)
        search.orphans()
    finally:
        search.clear()
    search = Running.resumed(directory)
    assert search.finish() == 0, search.tail()
    assert findings(directory) == findings(undisturbed)


@pytest.mark.slow
def test_it_finds_the_same_with_another_launcher(undisturbed, tmp_path):
    search = Running.fresh(tmp_path / "found", *RACE, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert search.finish() == 0, search.tail()
    assert findings(tmp_path / "found") == findings(undisturbed)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra.sweeper.rungs=[6,3]"], "rungs: expected rising numbers of training steps, got [6, 3]"),
        (["hydra.sweeper.scales=[2,1]"], "scales: expected the lowest and the highest scale"),
        *slow(
            [
                ([*SEARCH, "hydra.sweeper.scales=[1,2]"], "hydra.sweeper.scales: expected null without hydra.sweeper."),
                (["hydra.sweeper.finalists=0"], "hydra.sweeper.rungs: expected [] with hydra.sweeper.finalists=0"),
            ]
        ),
    ],
)
def test_settings_that_make_no_race_are_refused(command, trainings, overrides, message):
    with pytest.raises(SystemExit) as ended:
        command("search", *RACE, *overrides)
    assert str(ended.value).startswith(f"error: {message}")


@pytest.mark.parametrize(("length", "goes_on"), [(9, 4), *slow([(5, 0), (2, 0)])])
def test_a_dry_run_counts_the_trials_of_each_phase(command, trainings, length, goes_on):
    """Rungs that are as long as a training, or longer, are none."""
    out = command("search", *RACE, "hydra.sweeper.tuned=1", "dry_run=true", f"trainer.max_steps={length}")
    rows = [line.split("│")[1:4] for line in out.splitlines() if line.startswith("│")]
    counts = {name.strip(): (int(runs), int(steps)) for name, runs, steps in rows}
    for phase in ("losses", "scales", "thetas"):
        assert counts[phase] == (4, min(3, length))
    assert counts.get("going on", (0, 0))[0] == goes_on
