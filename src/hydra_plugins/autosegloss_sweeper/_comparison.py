"""The runs after the search that train with the found loss and with others, at the same budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from autosegloss.theta_card import shipped_cards
from autosegloss.training.outcome import Outcome, Result

from ._candidates import RELEASED, filled_in
from .config import SweeperConf

KEPT = "save_weights=true"  # the networks of the comparison are worth keeping; those of trials are not


class Comparison:
    """One run per row and seed of the settings.

    The overrides of a row may set a key to FOUND, the card at `found`, or to RELEASED, the card that ships for the
    metric.
    """

    def __init__(self, settings: SweeperConf, found: Path, metric: str):
        self.settings = settings
        self._cards: dict[str, object] = {"FOUND": found, RELEASED: shipped_cards().get(metric)}

    def jobs(self) -> dict[str, list[str]]:
        """{folder: overrides}; rows that name a missing card are left out."""
        return {folder: overrides for _, folder, overrides in self._runs()}

    def rows(self, outcomes: Mapping[str, Outcome]) -> dict[str, list[Result]]:
        """{row: the results of its finished runs} from {folder: outcome}."""
        rows: dict[str, list[Result]] = {}
        for row, folder, _ in self._runs():
            results, outcome = rows.setdefault(row, []), outcomes[folder]
            if isinstance(outcome, Result):
                results.append(outcome)
        return rows

    def _runs(self) -> Iterator[tuple[str, str, list[str]]]:
        """(row, folder, overrides) of each run."""
        for row, overrides in self.settings.comparison.items():
            filled = None if overrides is None else filled_in(overrides, self._cards)
            if filled is None:
                continue
            for seed in self.settings.comparison_seeds:
                folder = f"comparison/{row.replace(' ', '_')}/seed_{seed}"
                yield row, folder, [KEPT, *self.settings.comparison_common, *filled, f"seed={seed}"]
