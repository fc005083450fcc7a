"""The search itself: ask, train, tell, step after step; then choose a theta, compare it and write it all down."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.errors import CompactHydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from autosegloss import ThetaCard
from autosegloss import theta as thetas
from autosegloss.errors import InputError
from autosegloss.report import SearchProgress
from autosegloss.report.summary import write_figures, write_tables
from autosegloss.search import History, Strategy, Trial
from autosegloss.training import Result

from ._comparison import Comparison
from ._jobs import Failure, Jobs, Outcome, need
from ._provenance import next_command, provenance
from .config import SweeperConf


class Choice(NamedTuple):
    """The theta that a search ends with, why, and its score on the hold-out images."""

    label: str
    theta: tuple[float, ...]
    score: float


class Search:
    """A search for the theta of the metric in `cfg`, its records kept in `directory` as they come."""

    def __init__(self, settings: SweeperConf, launcher, cfg: DictConfig, arguments: Sequence[str], directory: Path):
        self.settings, self.cfg, self.directory = settings, cfg, directory
        self.metric, self.curve = instantiate(cfg.metric), instantiate(cfg.curve)
        if not thetas.size(self.metric, self.curve):
            raise InputError(
                f"curve '{self.curve.name}' has no parameters to search: choose another, e.g. curve=bezier"
            )
        if not _depends_on_theta(cfg):
            raise InputError("the loss does not depend on theta: a search trains with loss=surrogate")
        for name, least in {"steps": 1, "samples": 1, "finalists": 0}.items():
            if getattr(settings, name) < least:
                raise InputError(f"hydra.sweeper.{name} must be {least} or more, got {getattr(settings, name)}")
        self.strategy: Strategy = settings.strategy(
            initial_mean=thetas.identity(self.metric, self.curve).tolist(),
            samples=settings.samples,
            sigma=settings.sigma,
            seed=settings.seed,
        )
        self.history = History(directory)
        if self.history.trials:
            raise InputError(f"{directory} holds a search already: choose another folder with hydra.sweep.dir=DIR")
        if cfg.data.holdout is None:
            print("note: data.holdout=null scores the trials on the validation split, which the table reports, too")
        self.comparison = Comparison(settings, directory / "theta.yaml", self.metric.name)
        self.progress = SearchProgress(settings.steps, settings.samples)
        self.jobs = Jobs(launcher, directory, arguments, self.progress, self.metric.name)

    def run(self) -> dict[str, Any]:
        """All of it; an interrupt leaves the records of what was finished and says where they are."""
        try:
            with self.progress:
                start = self._warm_up()
                for step in range(self.settings.steps):
                    self._step(step, start)
                choice = self._choose(start)
                card = self._card(choice)
                card.save(self.directory / "theta.yaml")
                write_figures(self.directory, self.history, card)
                rows = self._compare()
        except (KeyboardInterrupt, SystemExit):
            raise SystemExit(self._interrupted()) from None
        self._tell_user(choice, rows)
        return {"theta": str(self.directory / "theta.yaml"), "score": choice.score, "chosen": choice.label}

    def _warm_up(self) -> list[str]:
        """The overrides that start every trial from the same weights w_0 (drawn by the seed where none are trained)."""
        if self.settings.warmup is None:
            return []
        self.progress.phase("warm-up", 1)
        need(self.jobs.run({"warmup": [*self.settings.warmup, "save_weights=true"]})["warmup"], "the warm-up")
        return [f"init_weights='{self.directory / 'warmup' / 'weights.pt'}'"]

    def _step(self, step: int, start: list[str]) -> None:
        self.progress.start_step(step + 1)
        mean, drawn = self.strategy.mean, self.strategy.ask()
        folders = [f"step_{step:04d}/trial_{index:03d}" for index in range(len(drawn))]
        thetas_of = dict(zip(folders, drawn, strict=True))

        def record(folder: str, outcome: Outcome) -> None:
            self.history.add(self._trial(step, folders.index(folder), thetas_of[folder], outcome))

        self.jobs.run({folder: [*start, _override(theta)] for folder, theta in thetas_of.items()}, record)
        closed = self.history.close_step(step, mean)
        finished = [trial for trial in closed.trials if trial.score is not None]
        if not finished:
            raise CompactHydraException(
                f"all {len(drawn)} trials of step {step + 1} failed; the last one: "
                f"{closed.trials[-1].message} (traceback: {_short(self.directory)}/hydra.log)"
            )
        self.strategy.tell(np.array([trial.theta for trial in finished]), np.array(closed.scores))

    def _trial(self, step: int, index: int, theta: np.ndarray, outcome: Outcome) -> Trial:
        if isinstance(outcome, Failure):
            return Trial(step, index, theta, None, status=outcome.status, message=outcome.message)
        score, why = outcome.scores[self.metric.name], ""
        if not math.isfinite(score):
            score, why = None, f"{self.metric.name} is not defined on the hold-out images: no class occurs in them"
        status = "failed" if why else "ok"
        return Trial(step, index, theta, score, outcome.scores, outcome.seconds, status, why)

    def _choose(self, start: list[str]) -> Choice:
        """What the strategy's own rule names (section 4.3), or the best finalist."""
        if not self.settings.finalists:
            return Choice(*self.strategy.result(self.history))
        candidates = self.history.candidates(self.settings.finalists, self.strategy.mean)
        if (identity := self.history.steps[0].mean) not in candidates.values():
            candidates["identity"] = identity  # where the search began: what is found shall not be worse
        self.progress.phase("finalists", len(candidates))
        folders = {label: f"finalists/{label.replace(' ', '_')}" for label in candidates}
        jobs = {folders[label]: [*start, *self.settings.final, _override(theta)] for label, theta in candidates.items()}
        outcomes = self.jobs.run(jobs)
        choices = [
            Choice(label, candidates[label], outcomes[folder].scores[self.metric.name])
            for label, folder in folders.items()
            if isinstance(outcomes[folder], Result) and math.isfinite(outcomes[folder].scores[self.metric.name])
        ]
        if not choices:
            raise CompactHydraException(f"all finalists failed; see {_short(self.directory)}/hydra.log")
        (self.directory / "finalists.json").write_text(json.dumps([choice._asdict() for choice in choices], indent=1))
        return max(choices, key=lambda choice: choice.score)

    def _card(self, choice: Choice) -> ThetaCard:
        theta = thetas.split(list(choice.theta), self.metric, self.curve)
        origin = provenance(self.cfg, self.settings, choice.label)
        return ThetaCard(self.metric, self.curve, theta, self.cfg.classes, choice.score, origin)

    def jobs_around(self) -> dict[str, list[str]]:
        """{folder: overrides} of every run that is not a trial, with any theta where one is needed."""
        finalist = [*self.settings.final, _override(self.strategy.mean)]
        return {"warmup": self.settings.warmup or [], "finalists": finalist, **self.comparison.jobs()}

    def _compare(self) -> Mapping[str, list[Result]]:
        """The finished runs of every row of the comparison, one a seed."""
        jobs = self.comparison.jobs()
        if jobs:
            self.progress.phase("comparison", len(jobs))
        return self.comparison.rows(self.jobs.run(jobs) if jobs else {})

    def _tell_user(self, choice: Choice, rows: Mapping[str, list[Result]]) -> None:
        console, where, name = Console(), _short(self.directory), self.metric.name
        for table in write_tables(self.directory, rows, name):
            console.print(table)
        missing = [row for row, results in rows.items() if len(results) < len(self.settings.comparison_seeds)]
        for line in (
            *(f"Not every run of '{row}' finished: see {where}/hydra.log." for row in missing),
            f"Chosen: {choice.label}, {name} {100 * choice.score:.1f} on the hold-out images.",
            f"Found {where}/theta.yaml; the figures search.png and curves.png and all records are beside it.",
            "Train with it:",
            "  " + next_command(self.cfg, self.jobs.arguments, where / "theta.yaml"),
        ):
            console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _interrupted(self) -> str:
        finished = sum(trial.score is not None for trial in self.history.trials)
        card = ", with the found theta.yaml" if (self.directory / "theta.yaml").exists() else ""
        return f"interrupted: {finished} finished trials are kept in {_short(self.directory)}{card}"


def _depends_on_theta(cfg: DictConfig) -> bool:
    losses = []
    for theta in ([0.0], [1.0]):
        other = cfg.copy()
        other.theta = theta
        losses.append(OmegaConf.to_container(other.loss, resolve=True))
    return losses[0] != losses[1]


def _override(theta: Iterable[float]) -> str:
    return "theta=[" + ",".join(repr(float(x)) for x in theta) + "]"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
