"""How a search goes: as algorithm 1 of the paper, or as a race of losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autosegloss.errors import InputError
from autosegloss.search import (
    SEARCHED,
    Algorithm1,
    Candidate,
    Choice,
    History,
    Procedure,
    Proposal,
    Race,
    Space,
    Strategy,
    Trial,
)
from autosegloss.search.trials import FlatTheta
from autosegloss.theta_card import ThetaCard

from ._candidates import searched_candidate
from ._overrides import theta_override
from ._prior import fitting_theta
from ._task import Task


def procedure_of(task: Task) -> Procedure:
    """The procedure that the settings of a search describe; rungs make it a race.

    Raises:
        InputError: A setting is out of range, or of a race and there is none.
    """
    settings = task.settings
    space = Space(settings.scales)
    mean = task.initial_mean()
    strategy: Strategy = settings.strategy(
        initial_mean=space.point(mean),
        samples=task.samples,
        sigma=settings.sigma,
        seed=settings.seed,
        bounds=space.bounds(task.curve.interval, len(mean)),
    )

    def proposal(point: FlatTheta) -> Proposal:
        theta = space.theta(point)
        return Proposal(SEARCHED, (theta_override(theta),), theta, space.scale(point), point)

    if settings.rungs:
        if not settings.finalists:
            raise InputError(
                "hydra.sweeper.rungs: expected [] with hydra.sweeper.finalists=0: a race ends with finalists"
            )
        entries = [_entry(task, candidate) for candidate in task.candidates]
        race = {name: getattr(settings, name) for name in ("keep", "tuned", "factor", "patience")}
        return Race(strategy, task.steps, proposal, entries, space, _rungs(task), seed=settings.seed, **race)
    if task.prior:
        points = np.array([space.point(candidate.theta or (), candidate.scale) for candidate in task.prior])
        strategy.begin(points, -np.arange(len(points)))  # the first is taken for the best
    if settings.scales is not None:
        raise InputError("hydra.sweeper.scales: expected null without hydra.sweeper.rungs, which make a race of losses")
    return Algorithm1(strategy, task.steps, proposal)


def _rungs(task: Task) -> list[int]:
    """The rungs within the length of a training; those that are not shorter than it end it, and one is enough."""
    rungs = list(task.settings.rungs)
    return [rung for rung in rungs if rung < task.cfg.trainer.max_steps] or rungs[:1]


def candidates_of(task: Task, procedure: Procedure, history: History) -> list[Candidate]:
    """The losses to train at the end of a search: those that a race has left, or all known; the best theta always."""
    if isinstance(procedure, Race):
        left = procedure.result(history.steps)
        if not any(trial.name == SEARCHED for trial in left):
            left += [trial for trial in procedure.ranking(history.steps) if trial.name == SEARCHED][:1]
        return _raced(task, left)
    return [*task.candidates, searched_candidate(history.best_samples(1)[0])]


def _raced(task: Task, trials: Sequence[Trial]) -> list[Candidate]:
    """The losses of trials at their scales."""
    known = {candidate.name: candidate for candidate in task.candidates}
    found: list[Candidate] = []
    for trial in trials:
        candidate = known.get(trial.name)
        if candidate is None and trial.score is not None:
            number = 1 + sum(other.name not in known for other in found)
            candidate = searched_candidate(Choice(trial.name, trial.theta, trial.score), number=number)
        if candidate is not None:
            found.append(replace(candidate, scale=trial.scale, scores=trial.scores))
    return found


def _entry(task: Task, candidate: Candidate) -> Proposal:
    theta = candidate.theta
    if candidate.card is not None:  # for the strategy to begin around, if it can propose it
        theta = fitting_theta(ThetaCard.load(candidate.card), task.metric, task.curve)
    return Proposal(candidate.name, candidate.overrides, theta or (), candidate.scale)
