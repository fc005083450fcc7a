"""Theta cards: a found loss on one page of YAML, with its score and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError, unknown
from autosegloss.files import write_whole
from autosegloss.formulas import LOSS_RULES, Formula, from_entry, resolve
from autosegloss.formulas.average import FOREGROUND
from autosegloss.scale import checked_scale
from autosegloss.tasks import Task
from autosegloss.theta import Theta, by_name

_OPTIONAL = ("classes", "task", "scale", "score", "provenance")


@dataclass
class ThetaCard:
    """A found loss on one page (YAML): its metric, its curves, theta, score and origin.

    A card of a formula or curve from another package names the import path of the class, and loading imports it.

    Args:
        metric: the formula that the loss is a surrogate of.
        curve: the curve family.
        theta: parameters (R, K) by operation name: R = 1 curve for both operands, or R = 2, one per operand.
        classes: the average of the loss, "all", "present" or "foreground", or a list of ids or names.
        score: the score of the found loss, in [0, 1]; None if it is not known.
        provenance: where theta comes from, in plain types.
        scale: the factor before the loss; a card of an earlier version has 1.
        task: the name of the task that theta was found for; theta itself serves any.

    Example:
        >>> from autosegloss import ThetaCard
        >>> card = ThetaCard.load("miou")
        >>> card.theta["and"].shape, card.control_points["and"].shape
        (torch.Size([1, 6]), torch.Size([1, 5, 2]))
    """

    metric: Formula
    curve: CurveFamily
    theta: Theta
    classes: str | list[int | str] = "all"
    score: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    task: str = "multiclass"

    def __post_init__(self):
        self.metric, self.curve = resolve(self.metric), CurveFamily.resolve(self.curve)
        if isinstance(self.classes, str) and self.classes not in (*LOSS_RULES, FOREGROUND):
            raise unknown("class average", self.classes, [*LOSS_RULES, FOREGROUND])
        self.scale = checked_scale(self.scale)
        if self.task not in Task.members:
            raise unknown("task", str(self.task), Task.members)

    @property
    def control_points(self) -> Theta:
        """Absolute control points (R, P, 2) by operation name."""
        return {name: self.curve.control_points(row) for name, row in self.theta.items()}

    def save(self, path: str | Path) -> None:
        """Write the card as YAML; numbers round-trip exactly."""
        page = {
            "metric": self.metric.entry(),
            "curve": self.curve.entry(),
            "classes": self.classes,
            "task": self.task,
            "scale": self.scale,
            "theta": {name: _plain(row) for name, row in self.theta.items()},
            "control_points": {name: _plain(points) for name, points in self.control_points.items()},
            "score": self.score,
        }
        text = yaml.safe_dump(page, sort_keys=False, default_flow_style=None, width=110)
        provenance = yaml.safe_dump({"provenance": self.provenance}, sort_keys=False, width=110)
        write_whole(Path(path), text + provenance)

    @classmethod
    def load(cls, name_or_path: str | Path) -> ThetaCard:
        """Read a card; its control points are for human readers, and theta alone counts.

        Args:
            name_or_path: the name of a card that ships with the package ("miou"), or a path.

        Raises:
            InputError: for an unknown name, a missing file, or a file that is not a card.
        """
        path = _find(str(name_or_path))
        try:
            page = yaml.safe_load(path.read_text(encoding="utf-8"))
            metric = from_entry(page["metric"])
            curve = CurveFamily.from_entry(page["curve"])
            theta = by_name(page["theta"], metric, curve)
            _check_stated(page["curve"], curve, theta)
            optional = {key: page[key] for key in _OPTIONAL if page.get(key) is not None}
            return cls(metric, curve, theta, **optional)
        except InputError as error:
            raise InputError(f"theta card {path}: {error}") from None
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())  # of YAML errors: several lines
            raise InputError(
                f"{path} is not a theta card: expected YAML with metric, curve and theta ({reason})"
            ) from None


def _check_stated(entry: str | Mapping[str, Any], curve: CurveFamily, theta: Theta) -> None:
    """A card states the options of its curve that earlier versions took to be others."""
    given = {"name": entry} if isinstance(entry, str) else entry
    for option, values in curve.stated.items():
        if option not in given:
            likely = {**given, option: curve.likely(theta.values())[option]}
            raise InputError(f"curve: '{curve.name}' must state its {option}, {values}; write e.g. curve: {likely}")


def shipped_cards() -> dict[str, Path]:
    """The theta cards that come with the package, by name."""
    return {path.stem: path for path in sorted(Path(str(resources.files(__package__) / "theta_cards")).glob("*.yaml"))}


def _find(name_or_path: str) -> Path:
    shipped = shipped_cards()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"there is no theta card at {path}; the cards that ship are {', '.join(shipped)}")
    raise unknown("theta card", name_or_path, shipped)


def _plain(rows: Tensor) -> list:
    """Nested lists of floats; a single curve stands without the operand axis."""
    return (rows[0] if len(rows) == 1 else rows).tolist()
