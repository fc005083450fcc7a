"""How a search goes: which trials its next step trains, given those before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autosegloss.search.strategy import Strategy
from autosegloss.search.trials import FlatTheta, Origin, Proposal, Step


class Ahead(NamedTuple):
    """Trials that a search may still need: `trials` of `steps` training steps each; None: as long as a whole trial."""

    name: str
    trials: int
    steps: int | None = None


class Procedure(ABC):
    """The order of a search: `ask` for the trials of the next step, train them, `tell` their step.

    The answers of `ask` depend on the ended steps and on the state alone, so that a search can be resumed.

    Args:
        strategy: Proposes the thetas.
        steps: T, how many steps of thetas there are at most.
        proposal: Makes the proposal of a point of the strategy.
    """

    def __init__(self, strategy: Strategy, steps: int, proposal: Callable[[FlatTheta], Proposal]):
        self.strategy, self.steps, self.proposal = strategy, steps, proposal

    @abstractmethod
    def ask(self, ended: Sequence[Step]) -> list[Proposal]:
        """The trials of the step after the `ended` ones; [] if the search is at its end."""

    @abstractmethod
    def outlook(self, ended: Sequence[Step]) -> list[Ahead]:
        """What there is to train after the `ended` steps, at most."""

    def needed(self, ended: Sequence[Step]) -> set[Origin]:
        """The trials of the `ended` steps from whose saved states others may still go on."""
        return set()

    def tell(self, step: Step, proposals: Sequence[Proposal]) -> None:
        """Learn from a step that has ended, whose trials are those that `ask` has proposed.

        A strategy learns from the trials that it has asked for.
        """
        scored = [(proposals[trial.index].point, score) for trial, score in step.scored]
        asked = [(point, score) for point, score in scored if point]
        if asked:
            points, scores = zip(*asked, strict=True)
            self.strategy.tell(np.array(points), np.array(scores))

    @property
    def mean(self) -> np.ndarray:
        """The mean of the strategy, (D,)."""
        return self.strategy.mean

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next `ask` depends on besides the ended steps, in plain types."""
        return self.strategy.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`, bit for bit."""
        self.strategy.load_state_dict(state)

    def _points(self) -> list[Proposal]:
        return [self.proposal(tuple(point)) for point in self.strategy.ask().tolist()]


class Algorithm1(Procedure):
    """The search of the paper (algorithm 1) for max_Theta xi(Theta) (eq. 14): T steps of M thetas, trained alike.

    The inner problem of eq. 14, omega*(Theta), is the training of a trial; xi is its score on held-out images.
    """

    def ask(self, ended: Sequence[Step]) -> list[Proposal]:
        return [] if len(ended) >= self.steps else self._points()

    def outlook(self, ended: Sequence[Step]) -> list[Ahead]:
        return [Ahead("trials", (self.steps - len(ended)) * self.strategy.samples)]
