"""The theta card that a search writes: the chosen theta, and everything that it and its score depend on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib.metadata import version
from typing import Any

from autosegloss import ThetaCard
from autosegloss import theta as thetas
from autosegloss.search import Candidate, Choice
from autosegloss.search.trials import FlatTheta
from autosegloss.training.outcome import scored_at
from autosegloss.training.task import task_of

from ._task import Task, plain

_SETTINGS = ("strategy", "steps", "samples", "sigma", "warmup", "finalists", "final", "final_seeds")
_GROUPS = ("data", "network", "auxiliary", "optimizer", "schedule")


def theta_card(task: Task, choice: Choice) -> ThetaCard:
    """The card of a chosen theta."""
    return _card(task, choice.theta, choice.label, choice.score, 1.0)


def candidate_card(task: Task, candidate: Candidate, score: float | None) -> ThetaCard:
    """The card of a surrogate among the candidates, with the factor before it and its score on the hold-out images."""
    if candidate.card is not None:
        card = ThetaCard.load(candidate.card)
        return replace(card, scale=card.scale * candidate.scale)
    assert candidate.theta is not None  # of a surrogate
    return _card(task, candidate.theta, candidate.name, score, candidate.scale)


def _card(task: Task, flat: FlatTheta, label: str, score: float | None, scale: float) -> ThetaCard:
    theta = thetas.split(flat, task.metric, task.curve)
    told = score, _provenance(task, label), scale
    return ThetaCard(task.metric, task.curve, theta, _classes(task), *told, task_of(task.cfg).name)


def _classes(task: Task) -> str | list[int | str]:
    classes = task.cfg.classes
    return classes if isinstance(classes, str) else list(classes)


def _provenance(task: Task, label: str) -> dict[str, Any]:
    cfg = task.cfg
    sweeper, metric = plain(cfg.hydra.sweeper), cfg.metric._target_.rpartition(".")[2]
    return {
        "origin": f"{label}; the score is its {metric} on the hold-out images, at {scored_at(cfg.data)}",
        "search": {**{name: sweeper[name] for name in _SETTINGS}, "trial_max_steps": cfg.trainer.max_steps},
        **{group: plain(cfg[group]) for group in _GROUPS if cfg[group] is not None},
        "seed": cfg.seed,
        "versions": {name: version(name) for name in ("autosegloss", "torch", "pytorch-lightning")},
        "date": date.today().isoformat(),
    }
