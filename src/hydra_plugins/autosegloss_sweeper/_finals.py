"""The last part of a search: train the candidates at one budget, or at two, and recommend one of them."""

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

WHOLE = "comparison"  # the folder of the trainings at the whole budget


class Finalists(NamedTuple):
    """The end of a search.

    verdict: at the whole budget. sooner: that of the finalists at the shorter one; None if there is no such budget.
    scored_at: the size that scores were measured at. incomplete: the candidates that lack a training.
    """

    verdict: Verdict
    sooner: Verdict | None
    scored_at: str
    incomplete: list[str]


class Finals:
    """Trains every candidate with one seed, and the best of them, and the simplest, with the others.

    Each is trained once, without the hold-out, and judged on the hold-out, which all choices are made on, and on the
    validation split, which no choice has seen. Finished trainings are kept.
    """

    def __init__(self, task: Task, jobs: Jobs, progress: SearchProgress):
        self.task, self.jobs, self.progress = task, jobs, progress

    def run(self, candidates: Sequence[Candidate]) -> Finalists:
        """Do what is left of the trainings, and choose.

        Raises:
            CompactHydraException: No candidate has finished.
            InputError: The guard names a metric that is not measured, or the evidence of a run cannot be read.
        """
        first, *others = final_seeds(self.task)
        whole = self._budget(candidates, WHOLE)
        self._train(whole, "candidates", candidates, [first])
        if not whole.evidence:
            where = short_path(self.task.directory)
            raise CompactHydraException(f"all candidates failed; see {where}/{FAILURES_FILE}")
        promoted = whole.contest().promoted(list(whole.evidence), self.task.settings.finalists)
        finalists = [each for each in candidates if each.name in promoted]
        self._train(whole, "finalists", finalists, others)
        due = {each.name: 1 + len(others) * (each.name in promoted) for each in candidates}
        lacking = [name for name, count in due.items() if len(whole.evidence.get(name, {})) < count]
        return Finalists(whole.verdict(promoted), self._sooner(finalists), whole.scored_at, lacking)

    def _sooner(self, finalists: Sequence[Candidate]) -> Verdict | None:
        steps = self.task.settings.sooner
        if steps is None:
            return None
        budget = self._budget(finalists, f"sooner_{steps}", [f"trainer.max_steps={steps}"])
        self._train(budget, f"after {steps} steps", finalists, final_seeds(self.task))
        return budget.verdict([each.name for each in finalists]) if budget.evidence else None

    def _budget(self, candidates: Sequence[Candidate], folder: str, own: Sequence[str] = ()) -> Budget:
        return Budget(self.task, folder, own, {each.name: each.level for each in candidates})

    def _train(self, budget: Budget, phase: str, candidates: Sequence[Candidate], seeds: Sequence[int]) -> None:
        runs = dict(final_runs(self.task, candidates, seeds, budget.folder, budget.own))
        if runs:
            self.progress.phase(phase, len(runs))
        outcomes = self.jobs.run({folder: [*own, *LONG] for folder, own in runs.items()})
        for each in candidates:
            for seed in seeds:
                folder = final_folder(each.name, seed, budget.folder)
                if isinstance(result := outcomes[folder], Result):
                    budget.add(each.name, seed, folder, result)


class Budget:
    """The trainings of candidates at one budget, as far as they have finished.

    folder: of them, in that of the search. own: overrides that set the budget. levels: {candidate: how simple it is}.
    """

    def __init__(self, task: Task, folder: str, own: Sequence[str], levels: Mapping[str, int]):
        self.task, self.folder, self.own, self.levels = task, folder, own, levels
        self.evidence: dict[str, dict[int, dict[str, Evidence]]] = {}
        self.scored_at = ""

    def add(self, name: str, seed: int, folder: str, result: Result) -> None:
        """Add a training that has finished."""
        self.evidence.setdefault(name, {})[seed] = load_evidence(self.task.directory / folder)
        self.scored_at = result.scored_at or ""

    def contest(self) -> Contest:
        """The candidates on the images that choices are made on."""
        chosen_on = next(iter(next(iter(next(iter(self.evidence.values())).values()))))
        return Contest(self._field(chosen_on), self.task.metric.name, self.levels, self.task.guard)

    def verdict(self, promoted: Sequence[str]) -> Verdict:
        """The choice among the promoted candidates that have as many seeds as any, and the simplest."""
        contest = self.contest()
        counts = {name: len(self.evidence.get(name, {})) for name in promoted}
        whole = [name for name, count in counts.items() if count == max(counts.values())]
        splits = list(next(iter(self.evidence[contest.baseline].values())))
        fields = {split: self._field(split) for split in splits}
        finalists = list(dict.fromkeys([contest.baseline, *whole]))
        return Verdict.of(contest, finalists, fields, VAL if VAL in splits else splits[0])

    def _field(self, split: str) -> Field:
        runs = {name: {seed: own[split] for seed, own in seeds.items()} for name, seeds in self.evidence.items()}
        return Field(runs, self.task.measured)


def final_seeds(task: Task) -> list[int]:
    """The seeds of the trainings, none of which is that of another search's seed."""
    count = task.settings.final_seeds
    return [count * task.cfg.seed + number for number in range(count)]


def final_folder(name: str, seed: int, budget: str = WHOLE) -> str:
    """The folder of a training, relative to that of the search."""
    return f"{budget}/{name.replace(' ', '_')}/seed_{seed}"


def final_runs(
    task: Task, candidates: Sequence[Candidate], seeds: Sequence[int], budget: str = WHOLE, more: Sequence[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    """(folder, overrides) of each training; the networks of the first seed at the whole budget are kept."""
    kept = final_seeds(task)[0] if budget == WHOLE else None
    for candidate in candidates:
        for seed in seeds:
            weights = [KEPT] if seed == kept else []
            own = [*weights, "evidence=true", *task.settings.final, *more, *candidate.scaled, f"seed={seed}"]
            yield final_folder(candidate.name, seed, budget), own
