"""The runs after the search that put the found loss beside others, at the same budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from autosegloss.theta_card import shipped_cards
from autosegloss.training.outcome import Outcome, Result

from ._names import quoted
from .config import SweeperConf


class Comparison:
    """A run for each row and seed of the settings, whose overrides may name two cards: FOUND and RELEASED."""

    def __init__(self, settings: SweeperConf, found: Path, metric: str):
        self.settings = settings
        self._cards = {"FOUND": found, "RELEASED": shipped_cards().get(metric)}

    def jobs(self) -> dict[str, list[str]]:
        """{folder: overrides}; a row that names a card which does not exist is left out."""
        return {folder: [*overrides, f"seed={seed}"] for _, seed, folder, overrides in self._runs()}

    def rows(self, outcomes: Mapping[str, Outcome]) -> dict[str, list[Result]]:
        """{row: the results of its finished runs} from {folder: outcome}."""
        rows: dict[str, list[Result]] = {}
        for row, _, folder, _ in self._runs():
            results = rows.setdefault(row, [])
            if isinstance(outcomes[folder], Result):
                results.append(outcomes[folder])
        return rows

    def _runs(self) -> Iterator[tuple[str, int, str, list[str]]]:
        for row, overrides in self.settings.comparison.items():
            if overrides is None:
                continue
            named = [name for name in self._cards if any(o.endswith(f"={name}") for o in overrides)]
            if any(self._cards[name] is None for name in named):
                continue
            for seed in self.settings.comparison_seeds:
                filled = [*self.settings.comparison_common, *map(self._fill, overrides)]
                yield row, seed, f"comparison/{row.replace(' ', '_')}/seed_{seed}", filled

    def _fill(self, override: str) -> str:
        key, _, value = override.partition("=")
        return f"{key}={quoted(self._cards[value])}" if value in self._cards else override
