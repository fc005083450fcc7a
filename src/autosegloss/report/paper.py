"""The tables of the paper: each is a YAML file in tables/ that states the conditions of its rows."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.errors import unknown
from autosegloss.report.score_table import ScoreTable
from autosegloss.report.step_table import StepTable


def tables() -> dict[str, Path]:
    """The YAML files of the tables by number, as {"2": .../2.yaml, "fig3": .../fig3.yaml}."""
    return {path.stem: path for path in sorted(Path(str(resources.files(__package__) / "tables")).glob("*.yaml"))}


def paper_table(name: str) -> ScoreTable | StepTable:
    """The table with a number, see `tables`; its method `page` fills it from an `Archive`.

    Raises:
        InputError: no table has this number.

    Example:
        >>> paper_table("4").columns
        ['miou', 'bf1']
    """
    if name not in tables():
        raise unknown("table", name, tables())
    return instantiate(OmegaConf.load(tables()[name]), _convert_="all")
