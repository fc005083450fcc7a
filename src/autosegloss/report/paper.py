"""The tables of the paper, each a YAML file in tables/ that states the conditions of its rows; and its figures."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.errors import unknown
from autosegloss.report.archive import Archive
from autosegloss.report.score_table import ScoreTable
from autosegloss.report.step_table import StepTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURE = "fig"  # how the name of a table begins whose numbers the paper draws


def tables() -> dict[str, Path]:
    """The YAML files of the tables by number, as {"2": .../2.yaml, "fig3": .../fig3.yaml}."""
    return {path.stem: path for path in sorted(Path(str(resources.files(__package__) / "tables")).glob("*.yaml"))}


def paper_table(name: str) -> ScoreTable | StepTable:
    """The table with a number, see `tables`; its method `page` fills it from an `Archive`.

    Raises:
        InputError: no table has this number.

    Example:
        >>> paper_table("4").columns
        ['miou', 'bf1', 'macc']
    """
    if name not in tables():
        raise unknown("table", name, tables())
    return instantiate(OmegaConf.load(tables()[name]), _convert_="all")


def paper_figure(number: str, archive: Archive) -> Figure:
    """The figure of the paper with a number, drawn from the searches of an archive.

    Raises:
        InputError: no figure has this number, or no search fits it.
    """
    figures = {name.removeprefix(_FIGURE): name for name in tables() if name.startswith(_FIGURE)}
    if number not in figures:
        raise unknown("figure", number, figures)
    table = paper_table(figures[number])
    assert isinstance(table, StepTable)
    return table.figure(archive)
