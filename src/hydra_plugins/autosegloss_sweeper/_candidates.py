"""The losses that a search may recommend: those of the settings, and the thetas that it has found."""

from __future__ import annotations

from dataclasses import replace

from autosegloss.cli.overrides import quoted
from autosegloss.search import Candidate, Choice
from autosegloss.search.trials import FlatTheta
from autosegloss.theta_card import shipped_cards

from ._overrides import theta_override
from .config import SweeperConf

RELEASED = "RELEASED"  # stands for the card that ships for the metric
SEARCHED = "searched"
# How simple a loss is, 0 for the first of the settings.
_HAND_MADE, _IDENTITY, _CARD, _FOUND = 1, 2, 3, 4


def given_candidates(settings: SweeperConf, metric: str, identity: FlatTheta) -> list[Candidate]:
    """The candidates of the settings, simplest first.

    Those that are null or whose card does not ship are left out.

    Args:
        settings: The settings of the search.
        metric: The name of the searched metric.
        identity: Its theta (D,) that bends nothing.
    """
    found: list[Candidate] = []
    card = shipped_cards().get(metric)
    for name, overrides in settings.candidates.items():
        filled = None if overrides is None else filled_in(overrides, {RELEASED: card})
        if filled is None:
            continue
        candidate = Candidate(name, tuple(filled), level=_HAND_MADE if found else 0)
        if filled[0] == "loss=naive":
            candidate = replace(candidate, level=_IDENTITY, theta=identity)
        elif filled != overrides:
            candidate = replace(candidate, level=_CARD, card=card)
        found.append(candidate)
    return found


def searched_candidate(choice: Choice, scale: float = 1.0, number: int = 1) -> Candidate:
    """A theta that the search has found, as a candidate."""
    name = SEARCHED if number == 1 else f"{SEARCHED} {number}"
    overrides = ("loss=surrogate", theta_override(choice.theta))
    return Candidate(name, overrides, scale, theta=choice.theta, level=_FOUND)


def filled_in(overrides: list[str], cards: dict[str, object]) -> list[str] | None:
    """The overrides with paths in place of the names of cards; None if a card is missing."""
    filled = []
    for override in overrides:
        key, _, value = override.partition("=")
        if value in cards:
            if cards[value] is None:
                return None
            override = f"{key}={quoted(cards[value])}"
        filled.append(override)
    return filled
