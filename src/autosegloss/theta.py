"""The flat vector theta: its size and order follow from the formula; theta cards keep it with where it came from."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError, unknown
from autosegloss.files import write_whole
from autosegloss.formulas import LOSS_RULES, Formula

Theta = dict[str, Tensor]
"""Parameters (R, K) by operation name: R = 1 curve for both operands, or R = 2, one per operand."""


def size(formula: Formula, curve: CurveFamily) -> int:
    """D, the length of the flat theta: one curve of K numbers per operation."""
    return len(formula.operations) * curve.num_parameters


def identity(formula: Formula, curve: CurveFamily) -> Tensor:
    """The flat theta (D,) whose surrogate bends nothing: mu_0 of the search."""
    return curve.identity().repeat(len(formula.operations))


def split(theta: Sequence[float] | Tensor, formula: Formula, curve: CurveFamily) -> Theta:
    """A flat theta (D,) by operation name, in the order the formula declares; raises InputError for length or range."""
    theta = _numbers(f"theta of '{formula.name}'", theta)
    expected = size(formula, curve)
    if theta.shape != (expected,):
        raise InputError(
            f"theta of '{formula.name}' with curve '{curve.name}' is {expected} numbers "
            f"({curve.num_parameters} for each of {', '.join(formula.operations)}), got shape {tuple(theta.shape)}"
        )
    rows = theta.reshape(-1, 1, curve.num_parameters) if expected else theta.new_empty(len(formula.operations), 1, 0)
    return _in_range(dict(zip(formula.operations, rows, strict=True)))


def by_name(theta: Mapping[str, Any], formula: Formula, curve: CurveFamily) -> Theta:
    """A theta given by operation name, (K,) or (R, K) each; an operation left out is not bent."""
    for name in theta:
        if name not in formula.operations:
            raise unknown(f"operation of '{formula.name}'", name, formula.operations)
    rows = {name: torch.atleast_2d(_numbers(f"theta of operation '{name}'", row)) for name, row in theta.items()}
    for name, row in rows.items():
        if row.ndim != 2 or row.shape[0] > 2 or row.shape[1] != curve.num_parameters:
            raise InputError(
                f"theta of operation '{name}' is {curve.num_parameters} numbers, or two lists of as many "
                f"(one per operand), got shape {tuple(row.shape)}"
            )
    return _in_range(rows)


def _numbers(what: str, values: Any) -> Tensor:
    """A tensor, an array or nested lists as float64; raises InputError if they hold anything but numbers."""
    if isinstance(values, Tensor):
        return values.double()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):  # of ragged lists, or of tensors numpy cannot read
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{what}: expected numbers, got {reprlib.repr(values)}")
    return torch.tensor(array, dtype=torch.float64)


def _in_range(theta: Theta) -> Theta:
    for name, row in theta.items():
        if not bool(((row >= 0) & (row <= 1)).all()):
            raise InputError(f"theta must lie in [0, 1], got {row.flatten().tolist()} for operation '{name}'")
    return theta


@dataclass
class ThetaCard:
    """A found loss on one page (YAML): what it is a surrogate of, its theta, its score and where it came from."""

    metric: Formula
    curve: CurveFamily
    theta: Theta
    classes: str = "all"
    score: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.classes not in LOSS_RULES:
            raise unknown("class average", self.classes, LOSS_RULES)

    @property
    def control_points(self) -> Theta:
        """Absolute control points (R, P, 2) by operation name."""
        return {name: self.curve.control_points(row) for name, row in self.theta.items()}

    def save(self, path: str | Path) -> None:
        """Write the card as YAML; numbers round-trip exactly."""
        page = {
            "metric": {"name": self.metric.name, **self.metric.options()},
            "curve": {"name": self.curve.name, **self.curve.options()},
            "classes": self.classes,
            "theta": {name: _plain(row) for name, row in self.theta.items()},
            "control_points": {name: _plain(points) for name, points in self.control_points.items()},
            "score": self.score,
        }
        text = yaml.safe_dump(page, sort_keys=False, default_flow_style=None, width=110)
        provenance = yaml.safe_dump({"provenance": self.provenance}, sort_keys=False, width=110)
        write_whole(Path(path), text + provenance)

    @classmethod
    def load(cls, name_or_path: str | Path) -> ThetaCard:
        """Read a card that ships with the package, by name, or any card, by path; raises InputError if it is none.

        The control points on a card are for the reader; theta is what counts.
        """
        path = _find(str(name_or_path))
        try:
            page = yaml.safe_load(path.read_text())
            metric = Formula.named(**_named(page["metric"]))
            curve = CurveFamily.named(**_named(page["curve"]))
            theta = by_name(page["theta"], metric, curve)
            optional = {key: page[key] for key in ("classes", "score", "provenance") if page.get(key) is not None}
            return cls(metric, curve, theta, **optional)
        except InputError as error:
            raise InputError(f"theta card {path}: {error}") from None
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())  # of YAML errors: several lines
            raise InputError(
                f"{path} is not a theta card: expected YAML with metric, curve and theta ({reason})"
            ) from None


def shipped_cards() -> dict[str, Path]:
    """The theta cards that come with the package, by name."""
    return {path.stem: path for path in sorted(Path(str(resources.files(__package__) / "thetas")).glob("*.yaml"))}


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


def _named(entry: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"name": entry} if isinstance(entry, str) else dict(entry)


def _plain(rows: Tensor) -> list:
    """Nested lists of floats; a single curve stands without the operand axis."""
    return (rows[0] if len(rows) == 1 else rows).tolist()
