"""The last part of a search: train the candidates at one budget, and recommend one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hydra.errors import CompactHydraException

from autosegloss.files import short_path
from autosegloss.ranking import Contest, Evidence, Field, Verdict, load_evidence
from autosegloss.ranking.evidence import VAL
from autosegloss.report.progress import SearchProgress
from autosegloss.search import Candidate
from autosegloss.search.records import FAILURES_FILE
from autosegloss.training.outcome import Result

from ._comparison import KEPT
from ._jobs import Jobs
from ._overrides import LONG
from ._task import Task


class Finalists(NamedTuple):
    """The end of a search: its verdict, the size that scores were measured at, the candidates that lack a training."""

    verdict: Verdict
    scored_at: str
    incomplete: list[str]


class Finals:
    """Trains every candidate with one seed, and the best of them, and the simplest, with the others.

    Each is trained once, without the hold-out, and judged on the hold-out, which all choices are made on, and on the
    validation split, which no choice has seen. Finished trainings are kept.
    """

    def __init__(self, task: Task, jobs: Jobs, progress: SearchProgress):
        self.task, self.jobs, self.progress = task, jobs, progress
        self._evidence: dict[str, dict[int, dict[str, Evidence]]] = {}
        self._scored_at = ""

    def run(self, candidates: Sequence[Candidate]) -> Finalists:
        """Do what is left of the trainings, and choose.

        Raises:
            CompactHydraException: No candidate has finished.
            InputError: The guard names a metric that is not measured, or the evidence of a run cannot be read.
        """
        first, *others = final_seeds(self.task)
        self._train("candidates", candidates, [first])
        if not self._evidence:
            where = short_path(self.task.directory)
            raise CompactHydraException(f"all candidates failed; see {where}/{FAILURES_FILE}")
        levels = {each.name: each.level for each in candidates}
        promoted = self._contest(levels).promoted(list(self._evidence), self.task.settings.finalists)
        self._train("finalists", [each for each in candidates if each.name in promoted], others)
        due = {each.name: 1 + len(others) * (each.name in promoted) for each in candidates}
        lacking = [name for name, count in due.items() if len(self._evidence.get(name, {})) < count]
        return Finalists(self._verdict(levels, promoted), self._scored_at, lacking)

    def _verdict(self, levels: Mapping[str, int], promoted: Sequence[str]) -> Verdict:
        """The choice among the promoted candidates that have as many seeds as any, and the simplest."""
        contest = self._contest(levels)
        most = max(len(self._evidence[name]) for name in promoted)
        whole = [name for name in promoted if len(self._evidence[name]) == most]
        splits = list(next(iter(self._evidence[contest.baseline].values())))
        fields = {split: self._field(split) for split in splits}
        finalists = list(dict.fromkeys([contest.baseline, *whole]))
        return Verdict.of(contest, finalists, fields, VAL if VAL in splits else splits[0])

    def _train(self, phase: str, candidates: Sequence[Candidate], seeds: Sequence[int]) -> None:
        runs = dict(final_runs(self.task, candidates, seeds))
        if runs:
            self.progress.phase(phase, len(runs))
        outcomes = self.jobs.run({folder: [*own, *LONG] for folder, own in runs.items()})
        for each in candidates:
            for seed in seeds:
                folder = final_folder(each.name, seed)
                if isinstance(result := outcomes[folder], Result):
                    self._evidence.setdefault(each.name, {})[seed] = load_evidence(self.task.directory / folder)
                    self._scored_at = result.scored_at or ""

    def _contest(self, levels: Mapping[str, int]) -> Contest:
        chosen_on = next(iter(next(iter(next(iter(self._evidence.values())).values()))))
        return Contest(self._field(chosen_on), self.task.metric.name, levels, self.task.guard)

    def _field(self, split: str) -> Field:
        """The candidates on a split."""
        runs = {name: {seed: own[split] for seed, own in seeds.items()} for name, seeds in self._evidence.items()}
        return Field(runs, self.task.measured)


def final_seeds(task: Task) -> list[int]:
    """The seeds of the trainings, none of which is that of another search's seed."""
    count = task.settings.final_seeds
    return [count * task.cfg.seed + number for number in range(count)]


def final_folder(name: str, seed: int) -> str:
    """The folder of a training, relative to that of the search."""
    return f"comparison/{name.replace(' ', '_')}/seed_{seed}"


def final_runs(task: Task, candidates: Sequence[Candidate], seeds: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """(folder, overrides) of each training; the networks of the first seed are kept."""
    kept = final_seeds(task)[0]
    for candidate in candidates:
        for seed in seeds:
            weights = [KEPT] if seed == kept else []
            own = [*weights, "evidence=true", *task.settings.final, *candidate.scaled, f"seed={seed}"]
            yield final_folder(candidate.name, seed), own
