"""The program `autosegloss figure`: figures 2 and 4 to 6 of the paper, of any theta card and any finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure

from autosegloss.cli.arguments import one_path, read_arguments, typed_arguments
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import Help
from autosegloss.curves import Curve, CurveFamily
from autosegloss.errors import InputError, unknown
from autosegloss.files import short_path
from autosegloss.report.curve_figure import curve_figure
from autosegloss.report.figures import save
from autosegloss.report.prediction_figure import prediction_figure
from autosegloss.search.records import CARD_FILE
from autosegloss.theta_card import ThetaCard
from autosegloss.training.trained import TrainedRun

FIGURE = Help(
    "autosegloss figure curve CARD | predictions RUN ... [KEY=VALUE ...]",
    "Draws figures of the paper: a curve with its control points and how one y leads to g(y) (Fig. 2), or what "
    "networks predict, side by side (Fig. 4 to 6).",
    {
        "CARD": "a theta card, shipped or a file; or a curve family, with theta=[...], the identity without",
        "y=0.5": "of the curve figure. operation=NAME, operand=1: which curve of the card; its first without",
        "RUN": "folders of trainings on the same data",
        "names=[...]": "of the runs, in their order; the names of the folders without",
        "images=[0,1,2]": "places among the images to validate on; the first three without",
        "zoom=0": "pixels of a side of the window to draw, where predictions differ most at edges; 0: the whole",
        "out=FILE": "curve_CARD_OPERATION.png or predictions.png without it; its ending is the format, .svg or .pdf",
    },
    {
        "autosegloss figure curve miou y=0.3": "a card that ships",
        "autosegloss figure curve searches/miou/DATE/theta.yaml operation=or": "of a search",
        "autosegloss figure curve linear theta=[1.2,-0.3,0,0.4,0.1]": "of numbers",
        "autosegloss figure predictions RUN1 RUN2 names=[cross-entropy,mIoU]": "Fig. 4 and 5",
        "autosegloss figure predictions RUN1 RUN2 zoom=24 images=[0,5]": "Fig. 6, enlarged",
    },
)


class Kind(NamedTuple):
    """A kind of figure: what draws and names it from the typed paths and settings, and its settings by default."""

    draw: Callable[[Sequence[str], Mapping[str, Any]], tuple[Figure, str]]
    settings: Mapping[str, Any]


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: an unknown kind, a card or a run that cannot be used, or a file that cannot be written.
    """
    typed = list(typed_arguments() if arguments is None else arguments)
    if FIGURE.shown(typed):
        return
    if not typed or typed[0] not in KINDS:
        raise unknown("figure", typed[0] if typed else "", KINDS)
    kind = KINDS[typed[0]]
    paths, settings, _ = read_arguments(typed[1:], {"out": "", **kind.settings})
    figure, name = kind.draw(paths, settings)
    out = settings["out"] or f"{name}.png"
    try:
        written = save(figure, out)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{out} cannot be written ({error}): choose out=FILE.png, .svg or .pdf") from error
    print(f"figure: {short_path(written)}")


def _curve(paths: Sequence[str], settings: Mapping[str, Any]) -> tuple[Figure, str]:
    """Figure 2: a curve of a card, or of a family by its theta."""
    given = one_path("figure curve", paths, "a theta card, or a curve family")
    if given in CurveFamily.members and not Path(given).exists():
        family = CurveFamily.named(given)
        theta = family.identity() if settings["theta"] is None else _theta(family, settings["theta"])
        return curve_figure(Curve(family, family.control_points(theta)), settings["y"], given), f"curve_{given}"
    card = ThetaCard.load(given)
    name = settings["operation"] or next(iter(card.theta), "")
    if name not in card.theta:
        raise unknown(f"operation of {given}", name, card.theta)
    rows = card.control_points[name]
    if not 1 <= settings["operand"] <= len(rows):
        raise InputError(f"operand: expected 1{' or 2' * (len(rows) > 1)} of '{name}', got {settings['operand']}")
    title = f"{card.metric.name}: {name}"
    figure = curve_figure(Curve(card.curve, rows[settings["operand"] - 1]), settings["y"], title)
    card_name = card.metric.name if Path(given).name == CARD_FILE else Path(given).stem
    return figure, "_".join(["curve", card_name, name, *([str(settings["operand"])] if len(rows) > 1 else [])])


def _theta(family: CurveFamily, given: str) -> torch.Tensor:
    """The theta (K,) of a family as it was typed."""
    try:
        theta = torch.tensor([float(number) for number in given.strip("[]").split(",")], dtype=torch.float64)
    except ValueError:
        theta = torch.empty(0)
    low, high = family.interval
    if theta.shape != (family.num_parameters,) or not ((theta >= low) & (theta <= high) & theta.isfinite()).all():
        raise InputError(f"theta: expected {family.num_parameters} numbers from {low:g} to {high:g}, got {given}")
    return theta


def _predictions(paths: Sequence[str], settings: Mapping[str, Any]) -> tuple[Figure, str]:
    """Figures 4 to 6: the predictions of runs, side by side."""
    if not paths:
        raise InputError("autosegloss figure predictions: expected folders of runs, got none; --help has examples")
    names = settings["names"] or [Path(path).name for path in paths]
    if not isinstance(names, list) or len({str(name) for name in names}) != len(paths):
        raise InputError(f"names: expected {len(paths)} different names, a list as [CE,mIoU], got {names}")
    runs = {str(name): TrainedRun.of(path) for name, path in zip(names, paths, strict=True)}
    return prediction_figure(runs, settings["images"] or None, settings["zoom"]), "predictions"


KINDS = {
    "curve": Kind(_curve, {"y": 0.5, "operation": "", "operand": 1, "theta": None}),
    "predictions": Kind(_predictions, {"names": [], "images": [], "zoom": 0}),
}
"""The kinds of figures by name."""
