"""The runs after the search that put the found loss beside others, at the same budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from autosegloss.training import Result

from ._jobs import need
from .config import SweeperConf


class Comparison:
    """A run for each row and seed of the settings; FOUND and METRIC in an override are the card and the metric."""

    def __init__(self, settings: SweeperConf, card: Path, metric: str):
        self.settings = settings
        self._meaning = {"FOUND": f"'{card}'", "METRIC": metric}

    def jobs(self) -> dict[str, list[str]]:
        """{folder: overrides}."""
        common = self.settings.comparison_common
        return {
            folder: [*common, *map(self._fill, self.settings.comparison[row]), f"seed={seed}"]
            for row, seed, folder in self._runs()
        }

    def rows(self, outcomes: Mapping[str, Result | str]) -> dict[str, list[Result]]:
        """{row: its results, one a seed} from {folder: outcome}; raises where a run has failed."""
        rows: dict[str, list[Result]] = {}
        for row, seed, folder in self._runs():
            rows.setdefault(row, []).append(need(outcomes[folder], f"the run of {row}, seed {seed},"))
        return rows

    def _runs(self) -> Iterator[tuple[str, int, str]]:
        for row in self.settings.comparison:
            for seed in self.settings.comparison_seeds:
                yield row, seed, f"comparison/{row.replace(' ', '_')}/seed_{seed}"

    def _fill(self, override: str) -> str:
        for name, value in self._meaning.items():
            override = override.replace(name, value)
        return override
