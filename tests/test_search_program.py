"""A whole search from the command line: the files it writes, the input it refuses, its end after an interrupt."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest
import torch
import yaml
from conftest import SEARCH, interrupt, start
from helpers.searches import FEW
from torch.testing import assert_close

from autosegloss import SurrogateLoss, ThetaCard
from autosegloss.formulas import PAPER, resolve
from autosegloss.ranking import load_evidence
from autosegloss.search import History, JsonLines
from autosegloss.training.outcome import Result

SMALL = [  # not as a race
    "hydra/sweeper=ppo",
    "hydra.sweeper.rungs=[]",
    "hydra.sweeper.steps=2",
    "hydra.sweeper.samples=2",
    "hydra.sweeper.finalists=2",
    'hydra.sweeper.warmup=["loss=cross_entropy","trainer.max_steps=2"]',
    'hydra.sweeper.final=["trainer.max_steps=2","test=true"]',
    "hydra.sweeper.final_seeds=2",
    "hydra.sweep.dir=found",
]
NAMES = ["cross-entropy", "dice", "identity", "released", "searched"]
FAILS = "trainer.callbacks=[{_target_:helpers.acts.Fail}]"


def failures(tmp_path: Path) -> list[dict]:
    return JsonLines(tmp_path / "found/failures.jsonl").read()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


@pytest.fixture
def searched(command, monkeypatch, place):
    """The folder of a search and what it printed; the tests share it."""
    printed = place / "printed.txt"
    monkeypatch.chdir(place)
    if not printed.exists():
        printed.write_text(command("search", "metric=macc", "data.holdout=8", "guard={gacc: 0.5}", *SMALL, *FEW))
    return place / "found", printed.read_text()


@pytest.mark.slow
def test_a_search_leaves_a_card_records_figures_and_a_table(searched):
    found, _ = searched
    card = ThetaCard.load(found / "theta.yaml")
    assert card.metric.name == "macc"
    history = History(found)
    assert [(trial.step, trial.index) for trial in history.trials] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(set(trial.scores) == set(PAPER) and trial.status == "ok" for trial in history.trials)
    assert history.steps[0].mean == pytest.approx(SurrogateLoss("macc").theta["and"][0].tolist())
    for name in ("search.png", "curves.png"):
        assert (found / name).stat().st_size > 5000
    kept = {path.parent.relative_to(found).as_posix() for path in found.rglob("weights.pt")}
    assert kept == {"warmup", *(f"comparison/{name}/seed_0" for name in NAMES)}


@pytest.mark.slow
def test_a_search_recommends_one_of_all_losses_and_says_why(searched):
    found, out = searched
    record = json.loads((found / "recommendation.json").read_text())
    assert (record["metric"], record["chosen_on"], record["scored_on"]) == ("macc", "holdout", "val")
    assert (record["guard"], record["baseline"]) == ({"gacc": 0.5}, "cross-entropy")
    assert [candidate["name"] for candidate in record["candidates"]] == NAMES
    seeds = {candidate["name"]: candidate["seeds"] for candidate in record["candidates"]}
    assert sorted(seeds.values()) == [1, 1, 2, 2, 2]
    assert seeds["cross-entropy"] == seeds[record["recommended"]] == 2
    for candidate in record["candidates"]:
        folders = [found / f"comparison/{candidate['name']}/seed_{seed}" for seed in range(candidate["seeds"])]
        on_val = [load_evidence(folder)["val"].score(resolve("macc")) for folder in folders]
        assert candidate["mean"] == candidate["scores"]["macc"] == pytest.approx(fmean(on_val))
        on_holdout = [Result.load(folder).scores["macc"] for folder in folders]
        assert candidate["choice"]["mean"] == pytest.approx(fmean(on_holdout))
        assert set(candidate["scores"]) == set(PAPER)
        assert candidate["difference"]["low"] <= candidate["difference"]["high"]
    assert f"Recommended: {record['recommended']}; {record['reason']}." in out
    page = " ".join((found / "comparison.md").read_text().split())
    assert page.startswith(f"Recommended: **{record['recommended']}**; {record['reason']}.")
    assert all(f"| {name} |" in page.replace("**", "") for name in NAMES)
    assert "## Validation" in page
    assert "## Test" in page


@pytest.mark.slow
def test_the_command_that_a_search_ends_with_trains_on_its_data_with_the_recommended_loss(command, searched):
    found, out = searched
    recommended = json.loads((found / "recommendation.json").read_text())["recommended"]
    assert "data.holdout=" not in out.partition("Train with it")[2]
    _, _, printed = out.partition("python train.py ")
    arguments = shlex.split(printed.splitlines()[0])
    surrogate = recommended in ("identity", "released", "searched")
    loss = {"cross-entropy": "cross_entropy"}.get(recommended, "searched" if surrogate else recommended)
    assert {"metric=macc", "network=tiny", f"loss={loss}", "data.source.train=24"} <= set(arguments)
    assert ("loss.theta=found/theta.yaml" in arguments) == surrogate
    out = command("train", *arguments, "trainer.max_steps=1", "trainer.enable_progress_bar=false", tiny=False)
    assert "macc" in out


@pytest.mark.slow
def test_the_same_seed_finds_the_same_theta_and_trials_share_data_and_weights(command, tmp_path):
    """Without a warm-up, too: identical thetas get identical scores, so trials share w_0 and the order of the data."""
    plain = [*SMALL, "hydra.sweeper.warmup=null", "hydra.sweeper.finalists=0", "hydra.sweeper.comparison_seeds=[]"]
    for name in ("one", "two"):
        command("search", *plain, f"hydra.sweep.dir={name}", "hydra.sweeper.sigma=1e-9", "hydra/sweeper=random")
    one, two = (History(tmp_path / name) for name in ("one", "two"))
    assert [t.theta for t in one.trials] == [t.theta for t in two.trials]
    assert [t.scores for t in one.trials] == [t.scores for t in two.trials]
    assert_close(torch.tensor([t.score for t in one.trials]), torch.full((4,), one.trials[0].score), rtol=0, atol=1e-3)
    page = yaml.safe_load((tmp_path / "one/theta.yaml").read_text())
    assert page["score"] == max(trial.score for trial in one.trials)


def test_one_trial_runs_by_itself(command, tmp_path):
    theta = SurrogateLoss("miou").theta
    flat = [x for rows in theta.values() for x in rows.flatten().tolist()]
    command("search", "hydra.mode=RUN", f"theta={flat}", "hydra.run.dir=trial")
    assert 0 <= json.loads((tmp_path / "trial/result.json").read_text())["scores"]["miou"] <= 1


def test_random_search_ends_with_its_best_trial(command, tmp_path, trainings):
    """Its mu never moves: the paper's rule would return the identity."""
    command("search", *SEARCH, "hydra/sweeper=random", "hydra.sweep.dir=found")
    best = History(tmp_path / "found").best_samples(1)[0]
    card = ThetaCard.load(tmp_path / "found/theta.yaml")
    assert_close(card.theta["and"][0], torch.tensor(best.theta, dtype=torch.float64))
    assert card.score == best.score


@pytest.mark.slow
def test_a_diverged_trial_is_recorded_as_such_and_ends_a_training_in_one_line(command, tmp_path):
    with pytest.raises(
        SystemExit, match=r"only 0 of the 2 trials of step 1 finished .*: the training diverged: its loss is nan"
    ):
        command("search", *SMALL, "hydra.sweeper.warmup=null", "optimizer.lr=1e30", "trainer.max_steps=4")
    assert {trial.status for trial in History(tmp_path / "found").trials} == {"diverged"}
    assert {failure["attempt"] for failure in failures(tmp_path)} == {1}  # it would diverge again
    with pytest.raises(SystemExit, match="error: the training diverged: its loss is nan after 2 steps"):
        command("train", "optimizer.lr=1e30", "trainer.max_steps=4", "trainer.enable_progress_bar=false")


@pytest.mark.slow
def test_a_candidate_that_fails_is_recorded_and_the_others_go_on(command, tmp_path):
    out = command(
        "search",
        *SMALL,
        *FEW,
        "hydra.sweeper.warmup=null",
        "hydra.sweeper.max_retries=0",
        f"hydra.sweeper.candidates.dice=['loss=dice','{FAILS}']",
    )
    assert "Not every run of 'dice' finished: see found/failures.jsonl." in out
    assert [failure["run"] for failure in failures(tmp_path)] == ["comparison/dice/seed_0"]
    record = json.loads((tmp_path / "found/recommendation.json").read_text())
    assert [each["name"] for each in record["candidates"]] == [name for name in NAMES if name != "dice"]


@pytest.mark.slow
def test_a_search_whose_candidates_all_fail_ends_with_one_line(command, tmp_path):
    with pytest.raises(SystemExit, match=r"all candidates failed; see found/failures.jsonl") as ended:
        command(
            "search",
            *SMALL,
            *FEW,
            "hydra.sweeper.warmup=null",
            "hydra.sweeper.max_retries=0",
            "hydra.sweeper.final_seeds=1",
            "hydra.sweeper.candidates.released=null",
            f"hydra.sweeper.final=['{FAILS}']",
        )
    assert "\n" not in str(ended.value)


@pytest.mark.slow
def test_a_table_without_finalists_is_made_without_some_of_its_runs(command, tmp_path):
    """A row whose card does not exist is left out; a failed run leaves its cells empty."""
    out = command(
        "search",
        *SMALL,
        "hydra.sweeper.warmup=null",
        "hydra.sweeper.finalists=0",
        "hydra.sweeper.max_retries=0",
        'hydra.sweeper.comparison_common=["data.holdout=null","trainer.max_steps=2"]',
        f"+hydra.sweeper.comparison.broken=['{FAILS}']",
        "+hydra.sweeper.comparison.released=['loss=searched','loss.theta=RELEASED']",
        "hydra.sweeper.comparison.identity=null",
    )
    assert "Not every run of 'broken' finished: see found/failures.jsonl." in out
    table = " ".join((tmp_path / "found/comparison.md").read_text().split())
    assert "| searched |" in table
    assert "| broken | |" in table
    assert "| released |" in table
    assert "identity" not in table


@pytest.mark.slow
def test_failed_trials_are_tried_again_and_a_step_of_failures_stops_the_search(command, tmp_path, capsys):
    retries = ["hydra.sweeper.max_retries=1", "hydra.sweeper.samples=1"]
    with pytest.raises(SystemExit, match=r"only 0 of the 1 trials of step 1 finished .*: \w+Error"):
        command("search", *SMALL, "hydra.sweeper.warmup=null", FAILS, *retries)
    trials = [json.loads(line) for line in (tmp_path / "found/trials.jsonl").read_text().splitlines()]
    assert [trial["status"] for trial in trials] == ["failed"]
    assert all("Error" in trial["message"] for trial in trials)
    tried = [(failure["run"], failure["attempt"]) for failure in failures(tmp_path)]
    assert tried == [("step_0000/trial_000", 1), ("step_0000/trial_000", 2)]
    shown = capsys.readouterr().err
    assert "The last lines of found/step_0000/trial_000/run.log:" in shown
    assert "ValueError" in shown


@pytest.mark.slow
def test_an_interrupt_ends_within_seconds_and_keeps_what_was_finished(tmp_path):
    plain = ["hydra.sweeper.warmup=null", "hydra.sweeper.samples=50", "hydra.sweep.dir=found"]
    process = start("search", tmp_path, *plain)
    records = tmp_path / "found/trials.jsonl"
    errors = interrupt(process, when=lambda: records.exists() and records.read_text().count("\n") >= 2)
    assert process.returncode == 1
    assert "finished trials are kept; go on with: python search.py resume=found" in errors
    assert "Traceback" not in errors
    assert len(History(tmp_path / "found").trials) >= 2


@pytest.mark.slow
def test_a_fresh_interpreter_sees_the_plugin_without_importing_torch(tmp_path):
    """Hydra imports every plugin at the start of every program."""
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance(); "
        "from hydra.core.config_store import ConfigStore; "
        "assert 'autosegloss.yaml' in ConfigStore.instance().list('hydra/sweeper'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(tmp_path))
