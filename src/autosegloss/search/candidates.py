"""A loss that a search may recommend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autosegloss.search.trials import FlatTheta


@dataclass(frozen=True)
class Candidate:
    """A loss that a search may recommend, and what the search knows of it.

    Args:
        name: As tables and records call it.
        overrides: The overrides that choose it, without its scale.
        scale: The factor before it.
        scores: {metric: score on the hold-out images} at the end of the race; {} if it has not raced.
        theta: (D,) of a surrogate of the searched metric and curve; None for other losses.
        card: The theta card of a surrogate that has one already; None for other losses.
        level: How simple it is, 0 for the simplest; of candidates that are as good the simpler is recommended.
    """

    name: str
    overrides: tuple[str, ...]
    scale: float = 1.0
    scores: Mapping[str, float] = field(default_factory=dict)
    theta: FlatTheta | None = None
    card: Path | None = None
    level: int = 0

    @property
    def scaled(self) -> list[str]:
        """The overrides with the scale."""
        return [*self.overrides, *([] if self.scale == 1 else [f"loss.scale={self.scale!r}"])]

    @property
    def is_surrogate(self) -> bool:
        """Whether a theta card can hold it."""
        return self.theta is not None or self.card is not None
