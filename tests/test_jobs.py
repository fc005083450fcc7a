"""Batches of runs, with a launcher that does as it is told: what fails is tried again, what is lost launched again."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException

from autosegloss.report.progress import SearchProgress
from autosegloss.runtime import Owner, Ownership
from autosegloss.search import JsonLines
from autosegloss.training.outcome import Failure, Outcome, Result
from hydra_plugins.autosegloss_sweeper._jobs import Jobs

GOOD, DIED = Result({"miou": 0.5}, {}, 1.0), Failure("failed", "the process died")


class Scripted:
    """A launcher whose runs do what `script` says of them, one entry a try; the last one stays."""

    def __init__(self, directory: Path, script: dict[str, list[object]]):
        self.directory, self.script = directory, script
        self.batches: list[list[str]] = []
        self.owners: list[str] = []

    def launch(self, overrides, initial_job_idx):
        folders = [job[-1].removeprefix("hydra.sweep.subdir=") for job in overrides]
        self.batches.append(folders)
        self.owners.append(Owner.of(self.directory).token)
        return [self._run(folder) for folder in folders]

    def _run(self, folder: str) -> JobReturn:
        script = self.script.get(folder, [GOOD])
        act = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(act, BrokenPipeError):  # a process of the launcher dies
            raise act
        job = JobReturn(status=JobStatus.FAILED if isinstance(act, Exception) else JobStatus.COMPLETED)
        if isinstance(act, Outcome):
            act.save(self.directory / folder)
        job.return_value = asdict(act) if isinstance(act, Outcome) else act
        return job


@pytest.fixture
def search(tmp_path) -> Callable:
    """`search(script, runs, **limits)`: what the runs ended with, and the launcher that ran them."""

    def run(script: dict, runs: list[str], **limits):
        launcher = Scripted(tmp_path, script)
        with SearchProgress(1, len(runs)) as progress, Ownership(tmp_path):
            jobs = Jobs(launcher, tmp_path, [], progress, "miou", **limits)
            return jobs.run({folder: [] for folder in runs}), launcher

    return run


def failures(folder: Path) -> list[tuple]:
    return [(f["run"], f["attempt"], f["status"]) for f in JsonLines(folder / "failures.jsonl").read()]


def test_what_fails_is_tried_again_and_no_other(search, tmp_path):
    script = {"a": [DIED, GOOD], "b": [ValueError("always")], "d": [Failure("diverged", "nan")]}
    outcomes, launcher = search(script, ["a", "b", "c", "d"], max_retries=2)
    assert launcher.batches == [["a", "b", "c", "d"], ["a", "b"], ["b"]]
    assert outcomes == {
        "a": GOOD,
        "b": Failure("failed", "ValueError: always"),
        "c": GOOD,
        "d": Failure("diverged", "nan"),
    }
    tries = [("a", 1, "failed"), ("b", 1, "failed"), ("d", 1, "diverged"), ("b", 2, "failed"), ("b", 3, "failed")]
    assert failures(tmp_path) == tries


def test_runs_lost_with_a_launcher_are_launched_again_and_the_stragglers_disowned(search, tmp_path):
    script = {"b": [BrokenPipeError("a process died")] * 3 + [GOOD], "a": [DIED, GOOD]}
    outcomes, launcher = search(script, ["a", "b", "c"], max_retries=3)
    assert list(outcomes.values()) == [GOOD, GOOD, GOOD]
    assert {run: attempt for run, attempt, status in failures(tmp_path) if status == "lost"} == {"a": 0, "b": 0, "c": 0}
    # whatever the broken launcher still runs belongs to another token than what is launched after
    assert len(set(launcher.owners)) == len(launcher.batches) == 4


def test_a_launcher_that_cannot_start_a_run_ends_the_search(search):
    """Slurm's where there is no Slurm, say."""
    with pytest.raises(CompactHydraException, match=r"the launcher cannot start a run: .* BrokenPipeError: no srun"):
        search({"a": [BrokenPipeError("no srun")]}, ["a", "b"], max_retries=1)


def test_a_launcher_that_always_breaks_ends_the_runs(search, tmp_path):
    (tmp_path / "b").mkdir()  # it had begun
    outcomes, launcher = search({"a": [BrokenPipeError("again")]}, ["a", "b"], max_retries=1)
    assert {outcome.kind for outcome in outcomes.values()} == {"lost"}
    assert all("the launcher lost it: BrokenPipeError: again" in outcome.message for outcome in outcomes.values())
    assert len(launcher.batches) <= 4


def test_what_has_a_result_is_not_run_again(search, tmp_path):
    GOOD.save(tmp_path / "a")
    outcomes, launcher = search({}, ["a", "b"])
    assert launcher.batches == [["b"]]
    assert list(outcomes) == ["a", "b"]


def test_a_launch_discards_the_outcome_of_an_earlier_try(search, tmp_path):
    DIED.save(tmp_path / "a")
    search({"a": [ValueError("before it trains")]}, ["a"])
    assert not (tmp_path / "a/failure.json").exists()


def test_a_result_whose_weights_are_not_saved_is_a_failure_even_on_the_disk(search, tmp_path):
    """A search whose warm-up had no room for its weights would go on without them."""
    unsaved = replace(GOOD, unsaved="weights.pt cannot be written")
    unsaved.save(tmp_path / "a")
    outcomes, launcher = search({"a": [GOOD], "b": [unsaved]}, ["a", "b"])
    assert launcher.batches == [["a", "b"]]
    assert outcomes == {"a": GOOD, "b": Failure("failed", "weights.pt cannot be written")}


def test_an_undefined_score_is_a_failure(search):
    undefined = Result({"miou": float("nan")}, {}, 1.0)
    outcomes, launcher = search({"a": [undefined, GOOD], "b": [undefined]}, ["a", "b"], max_retries=1)
    assert outcomes["a"] == GOOD
    assert "miou is not defined on the validation images" in outcomes["b"].message
    assert launcher.batches == [["a", "b"], ["a", "b"]]


def test_a_mistake_ends_the_batch_at_once(search):
    for mistake in (Failure("mistake", "label 7 is no class"), CompactHydraException("label 7 is no class")):
        with pytest.raises(CompactHydraException, match="label 7 is no class"):
            search({"a": [mistake]}, ["a", "b"], max_retries=5)


def test_batches_are_no_larger_than_asked_for(search):
    _, launcher = search({}, list("abcde"), max_batch_size=2)
    assert launcher.batches == [["a", "b"], ["c", "d"], ["e"]]
